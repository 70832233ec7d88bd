-- Instances and tasks of one app may connect to those of another.
create table network_policies (
    source_guid text not null references apps (guid) on delete cascade,
    destination_guid text not null references apps (guid) on delete cascade,
    protocol text not null check (protocol in ('tcp', 'udp')),
    first_port integer not null check (first_port between 1 and 65535),
    last_port integer not null check (last_port between first_port and 65535),
    primary key (source_guid, destination_guid, protocol, first_port, last_port)
) strict, without rowid;
create index network_policies_by_destination on network_policies (destination_guid);
