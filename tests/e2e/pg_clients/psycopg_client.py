"""Says who it is at the database behind a URL, with a parameter."""

import sys

import psycopg

with psycopg.connect(sys.argv[1]) as connection:
    print("|".join(map(str, connection.execute("select current_user, %s::int", (7,)).fetchone())))
