// Package clock is vendored, as `go mod vendor` would have done with a module from elsewhere.
package clock

import "time"

// Now is the time of day in UTC.
func Now() string { return time.Now().UTC().Format(time.TimeOnly) }
