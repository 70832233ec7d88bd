-- Log envelopes that outlive a restart, and how far Docker's logs were read. Times are nanoseconds
-- since 1970. A segment holds consecutive envelopes of one source, encoded by logs::segment.

create table log_sources (
    id integer primary key not null,
    source_id text not null unique,
    oldest integer not null,
    newest integer not null,
    count integer not null,
    bytes integer not null,
    expired integer not null
) strict;

create table log_segments (
    id integer primary key not null,
    source integer not null references log_sources (id) on delete cascade,
    first integer not null,
    last integer not null,
    kinds integer not null,
    count integer not null,
    bytes integer not null,
    body blob not null
) strict;
create index log_segments_by_time on log_segments (source, first, last, kinds, count, bytes);

-- The last line of a container's output that is stored; open_offset tells how many bytes of it are,
-- when not all are.
create table log_cursors (
    container_id text not null,
    stream text not null check (stream in ('out', 'err')),
    nanos integer not null,
    open_offset integer,
    primary key (container_id, stream)
) strict, without rowid;
