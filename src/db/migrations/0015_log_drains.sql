-- Few bindings have a drain, and they are looked for after every change.
create index service_credential_bindings_by_drain on service_credential_bindings (app_guid, syslog_drain_url)
    where syslog_drain_url is not null;
