-- Router groups of the routing API: the ports that TCP routes may have.
create table router_groups (
    guid text primary key not null,
    name text not null unique,
    type text not null check (type in ('tcp')),
    -- Such as 1024-1199,1234.
    reservable_ports text not null,
    -- What the option tcp-ports said when it was last taken over, so that only a change of it
    -- replaces what the API was told since.
    configured_ports text not null,
    created_at integer not null,
    updated_at integer not null
) strict;

-- Who has a port: one route of all domains of a group.
create index routes_by_port on routes (port) where port > 0;
