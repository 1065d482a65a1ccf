create table liquid_session (
    store_key  bytea primary key,  -- of the secret in the cookie, which the database never sees
    id         uuid not null,      -- the session ID
    user_name  bytea,              -- who is signed in, in UTF-8
    version    bigint not null,    -- random, new with every change
    used       bigint not null,    -- all times: milliseconds since 1970
    created    bigint not null,
    deadline   bigint not null,    -- when the row ends
    sweep_at   bigint not null,    -- when a sweep looks at the row
    record     bytea,              -- the session in its stored form
    forward_to bytea,              -- in place of a record: where a renewal moved the session
    by_login   boolean,
    check ((record is null) <> (forward_to is null))
) with (fillfactor = 70);
create index on liquid_session (user_name) where user_name is not null;
create index on liquid_session (sweep_at);
comment on table liquid_session is 'liquid-session schema 1';
