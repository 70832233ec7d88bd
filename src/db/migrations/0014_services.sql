-- What services need besides the marketplace and the data services.

-- Service instances whose broker is elsewhere, and which a broker of this machine has in its place.
-- A row outlives its instance while something may be left of it at that broker.
create table service_stand_ins (
    instance_guid text primary key not null,
    -- The broker that has it, and the ids of its plan there.
    broker_guid text not null,
    offering_id text not null,
    plan_id text not null,
    -- What runs, for people: `postgresql/small`, or an image.
    what text not null,
    -- JSON objects: what it is made with, and the templates of what apps get, if others than its own.
    parameters text not null,
    credentials text not null
) strict;

-- OAuth clients that belong to the dashboards of a broker.
create table service_dashboard_clients (
    client_id text primary key not null,
    broker_guid text not null references service_brokers (guid) on delete cascade
) strict;
create index service_dashboard_clients_by_broker on service_dashboard_clients (broker_guid);
