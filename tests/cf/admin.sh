# shellcheck shell=bash
# What administrators do with the real CLI: people, quotas, security groups, isolation segments,
# buildpacks, domains and settings of the platform. Sourced by run.sh; acme/dev is targeted.
# shellcheck disable=SC2154 # cf and data come from run.sh

people() {
    check "create-user" "OK" "$cf" create-user dora a-good-password
    check "create-user twice" "already exists" "$cf" create-user dora a-good-password
    check "set-org-role" "OK" "$cf" set-org-role dora acme OrgManager
    check "set-space-role" "OK" "$cf" set-space-role dora acme dev SpaceDeveloper
    check "set-space-role supporter" "OK" "$cf" set-space-role dora acme dev SpaceSupporter
    check "org-users" "dora" "$cf" org-users acme
    check "space-users" "dora" "$cf" space-users acme dev
    check "unset-space-role" "OK" "$cf" unset-space-role dora acme dev SpaceDeveloper
    check "unset-org-role" "OK" "$cf" unset-org-role dora acme OrgManager
    check "delete-user" "OK" "$cf" delete-user -f dora
}

quotas() {
    check "create-org-quota" "OK" "$cf" create-org-quota small -m 8G -i 1G -r 50
    check "org-quotas" "small" "$cf" org-quotas
    check "update-org-quota" "OK" "$cf" update-org-quota small -r 60
    check "org-quota" "60" "$cf" org-quota small
    check "set-org-quota" "OK" "$cf" set-org-quota acme small
    check "org with its quota" "quota: +small" "$cf" org acme
    check "set-org-quota back" "OK" "$cf" set-org-quota acme default
    check "delete-org-quota" "OK" "$cf" delete-org-quota -f small
    check "create-space-quota" "OK" "$cf" create-space-quota tiny -m 4G -r 20
    check "space-quotas" "tiny" "$cf" space-quotas
    check "update-space-quota" "OK" "$cf" update-space-quota tiny -r 30
    check "space-quota" "30" "$cf" space-quota tiny
    check "set-space-quota" "OK" "$cf" set-space-quota dev tiny
    check "unset-space-quota" "OK" "$cf" unset-space-quota dev tiny
    check "delete-space-quota" "OK" "$cf" delete-space-quota -f tiny
}

security_groups() {
    echo '[{"protocol":"tcp","destination":"10.0.0.0/8","ports":"443"}]' >"$data/rules.json"
    check "create-security-group" "OK" "$cf" create-security-group inner "$data/rules.json"
    check "security-groups" "inner" "$cf" security-groups
    check "security-group" "10.0.0.0/8" "$cf" security-group inner
    check "update-security-group" "OK" "$cf" update-security-group inner "$data/rules.json"
    check "bind-security-group" "OK" "$cf" bind-security-group inner acme --space dev
    check "unbind-security-group" "OK" "$cf" unbind-security-group inner acme dev
    check "bind-running-security-group" "OK" "$cf" bind-running-security-group inner
    check "running-security-groups" "inner" "$cf" running-security-groups
    check "unbind-running-security-group" "OK" "$cf" unbind-running-security-group inner
    check "bind-staging-security-group" "OK" "$cf" bind-staging-security-group inner
    check "staging-security-groups" "inner" "$cf" staging-security-groups
    check "unbind-staging-security-group" "OK" "$cf" unbind-staging-security-group inner
    check "delete-security-group" "OK" "$cf" delete-security-group -f inner
}

isolation_segments() {
    check "create-isolation-segment" "OK" "$cf" create-isolation-segment apart
    check "isolation-segments" "apart" "$cf" isolation-segments
    check "enable-org-isolation" "OK" "$cf" enable-org-isolation acme apart
    check "set-org-default-isolation-segment" "OK" "$cf" set-org-default-isolation-segment acme apart
    check "reset-org-default-isolation-segment" "OK" "$cf" reset-org-default-isolation-segment acme
    check "set-space-isolation-segment" "OK" "$cf" set-space-isolation-segment dev apart
    check "reset-space-isolation-segment" "OK" "$cf" reset-space-isolation-segment dev
    check "disable-org-isolation" "OK" "$cf" disable-org-isolation acme apart
    check "delete-isolation-segment" "OK" "$cf" delete-isolation-segment -f apart
}

buildpacks_and_stacks() {
    mkdir -p "$data/buildpack/bin"
    echo '#!/bin/sh' >"$data/buildpack/bin/detect"
    chmod +x "$data/buildpack/bin/detect"
    check "create-buildpack" "OK" "$cf" create-buildpack own_buildpack "$data/buildpack" 99 --disable
    check "update-buildpack" "OK" "$cf" update-buildpack own_buildpack --enable
    check "update-buildpack with bits" "OK" "$cf" update-buildpack own_buildpack -p "$data/buildpack"
    check "delete-buildpack" "OK" "$cf" delete-buildpack -f own_buildpack
    check "stack" "cflinuxfs4" "$cf" stack cflinuxfs4
    check "update-stack" "OK" "$cf" update-stack cflinuxfs4 --state deprecated
    check "update-stack back" "OK" "$cf" update-stack cflinuxfs4 --state active
}

domains() {
    check "create-private-domain" "OK" "$cf" create-private-domain acme acme.example.com
    check "create-shared-domain" "OK" "$cf" create-shared-domain shared.example.com
    check "create-org for sharing" "OK" "$cf" create-org neighbour
    check "share-private-domain" "OK" "$cf" share-private-domain neighbour acme.example.com
    check "unshare-private-domain" "OK" bash -c 'yes | "$@"' -- "$cf" unshare-private-domain neighbour acme.example.com
    check "delete-private-domain" "OK" "$cf" delete-private-domain -f acme.example.com
    check "delete-shared-domain" "OK" "$cf" delete-shared-domain -f shared.example.com
    check "rename-org" "OK" "$cf" rename-org neighbour gone
    check "delete-org renamed" "OK" "$cf" delete-org -f gone
}

settings() {
    check "feature-flags" "user_org_creation" "$cf" feature-flags
    check "enable-feature-flag" "OK" "$cf" enable-feature-flag route_sharing
    check "feature-flag" "enabled" "$cf" feature-flag route_sharing
    check "set-running-environment-variable-group" "OK" "$cf" set-running-environment-variable-group '{"A":"b"}'
    check "running-environment-variable-group" "A +b" "$cf" running-environment-variable-group
    check "running group emptied" "OK" "$cf" set-running-environment-variable-group '{}'
    check "set-staging-environment-variable-group" "OK" "$cf" set-staging-environment-variable-group '{"C":"d"}'
    check "staging-environment-variable-group" "C +d" "$cf" staging-environment-variable-group
    check "staging group emptied" "OK" "$cf" set-staging-environment-variable-group '{}'
    check "allow-space-ssh" "OK" "$cf" allow-space-ssh dev
    check "space-ssh-allowed" "enabled" "$cf" space-ssh-allowed dev
    check "disallow-space-ssh" "OK" "$cf" disallow-space-ssh dev
    check "allow-space-ssh again" "OK" "$cf" allow-space-ssh dev
    check "oauth-token" "bearer" "$cf" oauth-token
    check "ssh-code" "." "$cf" ssh-code
}

routes_between_spaces() {
    check "create-space for routes" "OK" "$cf" create-space other -o acme
    check "create-route to share" "OK" "$cf" create-route cf.localhost --hostname common
    check "check-route" "does exist" "$cf" check-route cf.localhost --hostname common
    check "route" "common" "$cf" route cf.localhost --hostname common
    check "update-route" "OK" "$cf" update-route cf.localhost --hostname common -o loadbalancing=least-connection
    check "share-route" "OK" "$cf" share-route cf.localhost --hostname common -s other -o acme
    check "unshare-route" "OK" "$cf" unshare-route cf.localhost --hostname common -s other -o acme
    check "move-route" "OK" "$cf" move-route cf.localhost --hostname common -s other -o acme
    check "rename-space" "OK" "$cf" rename-space other another
    check "delete-space of routes" "OK" "$cf" delete-space -f another
}

people
quotas
security_groups
isolation_segments
buildpacks_and_stacks
domains
settings
routes_between_spaces
