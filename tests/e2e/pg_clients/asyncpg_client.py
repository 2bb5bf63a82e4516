"""Says who it is at the database behind a URL, with a parameter."""

import asyncio
import sys

import asyncpg


async def main():
    connection = await asyncpg.connect(sys.argv[1])
    print("|".join(map(str, await connection.fetchrow("select current_user, $1::int", 7))))
    await connection.close()


asyncio.run(main())
