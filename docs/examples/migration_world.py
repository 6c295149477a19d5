"""The world of ``migration_agent.py``, as somebody sees it who has no agent and no log.

``prepare`` makes three shops, ``look SHOP`` tells where one is, ``move SHOP ADDRESS`` changes its
name as a person would, with the name server's own key.
"""

from __future__ import annotations

import asyncio
import sys

from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.tsig
import dns.update
import psycopg

from migration_agent import OLD, database, servers


SHOPS, ZONE = ("north", "south", "west"), "example.test"
SCHEMA = """
create table old_users (shop text, name text);
create table old_orders (shop text, number int);
create table new_shops (shop text primary key);
create table new_users (shop text references new_shops, name text);
create table new_orders (shop text references new_shops, number int);
"""
AT = servers()


def opened() -> psycopg.Connection:
    """Return a connection to the database."""
    host, _, port = AT["postgres"]["address"].rpartition(":")
    user, secret = AT["postgres"]["user"], AT["postgres"]["secret"]
    return psycopg.connect(
        host=host, port=port, dbname=AT["postgres"]["database"], user=user, password=secret
    )


def prepare() -> None:
    """Make the tables, the shops' rows and names, and the connector's table of keys."""
    with opened() as db:
        db.execute(SCHEMA)
        for shop in SHOPS:
            for name in ("ada", "grace", "edsger"):
                db.execute("insert into old_users values (%s, %s)", (shop, name))
            for number in (1815, 1906, 1930, 1972):
                db.execute("insert into old_orders values (%s, %s)", (shop, number))
    asyncio.run(database(AT["postgres"]).prepare())
    for shop in SHOPS:
        move(shop, OLD)


def move(shop: str, address: str) -> None:
    """Point a shop's name elsewhere, whatever it is now."""
    host, _, port = AT["knot"]["address"].rpartition(":")
    key = dns.tsig.Key(AT["knot"]["user"], AT["knot"]["secret"], "hmac-sha256")
    update = dns.update.UpdateMessage(ZONE)
    update.replace(shop, 60, "A", address)
    update.use_tsig(key)
    said = dns.query.tcp(update, host, 5, int(port)).rcode()
    print(f"{shop}.{ZONE} is at {address}: {dns.rcode.to_text(said)}")


def look(shop: str) -> None:
    """Print where a shop's rows are, where its name leads, and what mail it caused."""
    with opened() as db:
        for table in ("old_users", "old_orders", "new_users", "new_orders"):
            query = f"select count(*) from {table} where shop = %s"
            row = db.execute(query.encode(), (shop,)).fetchone()
            print(f"{table:<10} {row[0] if row else 0}")
    host, _, port = AT["knot"]["address"].rpartition(":")
    question = dns.message.make_query(f"{shop}.{ZONE}", "A")
    reply = dns.query.tcp(question, host, 5, int(port))
    print(f"{'name':<10} {', '.join(str(record) for found in reply.answer for record in found)}")
    mails = [file.read_text() for file in sorted(Path(AT["mail"]["folder"]).glob("*.eml"))]
    print(f"{'mails':<10} {sum(f'Subject: {shop} has moved' in mail for mail in mails)}")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
