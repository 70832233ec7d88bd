// Says which instance answered, with a page that is a part of the program.
package main

import (
	_ "embed"
	"fmt"
	"log"
	"net/http"
	"os"
	"runtime"

	"example.com/clock"
)

//go:embed static/page.html
var page string

func main() {
	http.HandleFunc("/", func(response http.ResponseWriter, _ *http.Request) {
		response.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(response, page, os.Getenv("CF_INSTANCE_INDEX"), runtime.Version(), clock.Now())
	})
	log.Println("listening")
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
