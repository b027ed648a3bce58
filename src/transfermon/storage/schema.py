"""How the tables of the database came about.

Rule: a migration that was published stays as it is; a change of the tables is one more.
"""

from __future__ import annotations

# Spelled out, not bound: only the same text lets SQLite use the index. The types are those of
# `events.TERMINAL`.
UNHEARD = (
    "acknowledged=0 and type in ('downloadcompleted', 'sessioncompleted', 'sessioninvalidated')"
)
MIGRATIONS = [
    """
    create table meta(key text primary key, value text not null) strict;
    create table session(
        key text primary key, identifier text, configuration text not null, state text not null,
        next_number integer not null) strict;
    create table task(
        session text not null, number integer not null, state text not null, record text not null,
        primary key(session, number)) strict;
    create table journal(
        sequence integer primary key, session text not null, number integer, type text not null,
        time real not null, body text not null, acknowledged integer not null default 0) strict;
    create index journal_task on journal(session, number);
    create table resume_data(token text primary key, record text not null, spent integer not null default 0) strict;
    """,
    f"create index journal_unheard on journal(sequence) where {UNHEARD};",
    "create table wake(identifier text primary key, record text not null) strict;",
]
VERSION = len(MIGRATIONS)
# beside the file, after a commit that found damage: the next engine looks at all of it
SUSPECT = ".suspect"
