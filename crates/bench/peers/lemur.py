#!/usr/bin/env python3
"""Measures Lemur, a certificate manager with a REST API, as a peer: pages of 50 from its list of certificates, by filter and by sort.

    crates/bench/peers/lemur.py --folder F --postgres postgres://user@host:port/postgres [-- COMMAND...]

Lemur is installed from the package index into an environment in the folder (kept there for the next run) and set up in a database of its
own, with its own commands: `create_config`, `init`, `start`. The certificates are written by SQL (`lemur_population.py`). Then one caller signs in
as the administrator and asks for pages over loopback; a line of JSON for each workload, as of `cargo xtask bench`. After that COMMAND is
run, if there is one, so that ours is measured in the same run. The database and the server are taken away at the end, on a
signal too; `--keep` leaves the database, and a later run with `--keep` measures it again.

Needed beside Python 3.10 or later: the headers of PostgreSQL, OpenLDAP and Cyrus SASL (Debian: libpq-dev, libldap-dev, libsasl2-dev), a C
compiler, and a PostgreSQL whose role may create databases and the extension pg_trgm. Lemur 1.9.3 pins all that it depends on
(Flask 2.3.3, SQLAlchemy 1.3.24 and so on), so nothing else is pinned here; what it lacks is an `alembic.ini` for its migrations.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.parse
from pathlib import Path

VERSION = "1.9.3"
DATABASE = "chancery_peer_lemur"
PASSWORD = "of the benchmark only"
PAGE = 50
SORTS = ["id", "name", "cn", "owner", "issuer", "serial", "notBefore", "notAfter", "dateCreated", "status", "bits", "keyType"]
# Alembic's settings, without which Lemur's migrations do not load: what matters to them is set by Lemur.
ALEMBIC = """[loggers]\nkeys = root\n[handlers]\nkeys =\n[formatters]\nkeys =\n[logger_root]\nhandlers =\n"""


def main():
    arguments = parsed()
    environment = arguments.folder / "environment"
    if Path(sys.prefix) != environment:
        install(environment, arguments.python)
        python = str(environment / "bin" / "python")
        os.execv(python, [python, __file__, *sys.argv[1:]])
    # The module beside this one is not to leave its compiled form in the source tree.
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with database(arguments.postgres, arguments.keep) as (address, is_new):
        settings = configure(arguments.folder, address)
        if is_new:
            run(arguments.folder, settings, "init", "--password", PASSWORD)
            import lemur_population

            lemur_population.fill(address, arguments.certificates)
        with server(arguments.folder, settings) as (port, group):
            measure(Lemur(port), group, address, arguments)
    if arguments.command:
        sys.exit(subprocess.run(arguments.command).returncode)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=lambda text: Path(text).resolve(), required=True, help="for the environment, settings and logs")
    parser.add_argument("--postgres", required=True, help="the URL of a database on the server to use; a database is made beside it")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the environment")
    parser.add_argument("--certificates", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=60, help="of each workload, at most")
    parser.add_argument("--seconds", type=float, default=60, help="for each workload, at most")
    parser.add_argument("--keep", action="store_true", help="leave the database, and measure the one that is there")
    parser.add_argument("command", nargs="*", help="what is run afterwards, after --")
    return parser.parse_args()


def install(environment, python):
    if (environment / "installed").exists():
        return
    environment.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([python, "-m", "venv", "--clear", str(environment)], check=True)
    pip = [str(environment / "bin" / "pip"), "install", "--quiet", f"lemur=={VERSION}"]
    subprocess.run(pip, check=True, stdout=sys.stderr)
    (environment / "installed").write_text(VERSION)


@contextlib.contextmanager
def database(postgres, keep):
    """The URL of Lemur's database, and whether it is a new one."""
    import psycopg2

    connection = psycopg2.connect(postgres)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
    is_new = cursor.fetchone() is None
    if not is_new and not keep:
        sys.exit(f"the database {DATABASE} is there already: --keep measures it, DROP DATABASE takes it away")
    if is_new:
        cursor.execute(f"CREATE DATABASE {DATABASE}")
    url = urllib.parse.urlsplit(postgres)
    try:
        yield url._replace(scheme="postgresql", path=f"/{DATABASE}").geturl(), is_new
    finally:
        if not keep:
            cursor.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
        connection.close()


def configure(folder, address):
    """Lemur's own settings with its own secrets, and what they leave open."""
    settings = folder / "lemur.conf.py"
    run(folder, None, "create_config", "--config", str(settings))
    migrations = folder / "migrations"
    shutil.copytree(Path(sysconfig.get_path("purelib")) / "lemur" / "migrations", migrations, dirs_exist_ok=True)
    (migrations / "alembic.ini").write_text(ALEMBIC)
    ours = {
        "SQLALCHEMY_DATABASE_URI": address,
        "FLASK_MIGRATIONS_PATH": str(migrations),
        "LEMUR_SECURITY_TEAM_EMAIL": ["security@example.com"],
        "LOG_LEVEL": "ERROR",
        "LOG_FILE": str(folder / "lemur.log"),
    }
    ours |= {f"LEMUR_DEFAULT_{what}": "Example" for what in ["COUNTRY", "STATE", "LOCATION", "ORGANIZATION", "ORGANIZATIONAL_UNIT"]}
    with settings.open("a") as file:
        file.writelines(f"{name} = {value!r}\n" for name, value in ours.items())
    return settings


def invocation(folder, settings):
    """The command `lemur`, and where and with what it runs: at home in the folder, so that nothing is left elsewhere."""
    values = {**os.environ, "HOME": str(folder), "PYTHONWARNINGS": "ignore"}
    values.pop("LEMUR_CONF", None)
    if settings:
        values["LEMUR_CONF"] = str(settings)
    return str(Path(sys.prefix) / "bin" / "lemur"), {"cwd": folder, "env": values}


def run(folder, settings, *words):
    lemur, where = invocation(folder, settings)
    done = subprocess.run([lemur, *words], **where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"lemur {words[0]} failed:\n{done.stdout[-4_000:]}")


@contextlib.contextmanager
def server(folder, settings):
    """Lemur's server with a worker for each core; answers its port on loopback, and its group of processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lemur, where = invocation(folder, settings)
    words = [lemur, "start", "--workers", str(os.cpu_count()), "--bind", f"127.0.0.1:{port}", "--timeout", "300"]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(words, **where, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"lemur start failed: see {folder / 'server.log'}")
            time.sleep(0.2)
        yield port, process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Lemur:
    """One caller, signed in as the administrator. The server closes each connection after its answer."""

    def __init__(self, port):
        self.port = port
        words = json.dumps({"username": "lemur", "password": PASSWORD})
        status, body = self.ask("POST", "/api/1/auth/login", {"Content-Type": "application/json"}, words)
        if status != 200:
            sys.exit(f"sign-in: {status} {body[:500]}")
        self.headers = {"Authorization": f"Bearer {json.loads(body)['token']}"}

    def ask(self, method, path, headers, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def page(self, query):
        """Milliseconds until the answer was there, its total and how many it shows. Reading its JSON is not in the time."""
        path = "/api/1/certificates?" + urllib.parse.urlencode({"count": PAGE, "page": 1, **query})
        began = time.perf_counter()
        status, body = self.ask("GET", path, self.headers)
        milliseconds = (time.perf_counter() - began) * 1e3
        if status != 200:
            sys.exit(f"{path}: {status} {body[:500]}")
        answer = json.loads(body)
        return milliseconds, answer["total"], len(answer["items"])


def processor_ms(group, cursor):
    """The processor time so far of the server's processes, and of the sessions that the database has for them if it is on this machine."""
    cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
    sessions = {pid for pid, in cursor}
    ticks = [0, 0]
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, rest = file.read_text().rsplit(")", 1)
            words = rest.split()
            used = int(words[11]) + int(words[12])
            if int(words[2]) == group:
                ticks[0] += used
            elif int(file.parent.name) in sessions and "(postgres" in name:
                ticks[1] += used
    return [used * 1e3 / os.sysconf("SC_CLK_TCK") for used in ticks]


def measure(lemur, group, address, arguments):
    import psycopg2

    connection = psycopg2.connect(address)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SELECT count(*), pg_database_size(current_database()) FROM certificates")
    count, size = cursor.fetchone()
    cursor.execute("SELECT name FROM certificates ORDER BY md5(name) LIMIT 200")
    names = [name for name, in cursor]

    def line(workload, **figures):
        print(json.dumps({"workload": f"lemur: {workload}", "certificates": count, **figures}), flush=True)

    line("size on disk", octets_each=round(size / count))
    # Each worker reads what it needs once, before the clock is looked at.
    for _ in range(4 * os.cpu_count()):
        _, total, _ = lemur.page({"showExpired": 1})
    if total != count or not count:
        sys.exit(f"the list has {total} certificates, the table {count}")
    for workload, queries in workloads(count, names).items():
        times, totals, until, used = [], [], time.monotonic() + arguments.seconds, processor_ms(group, cursor)
        for query in itertools.islice(queries, arguments.requests):
            milliseconds, total, _ = lemur.page(query)
            times.append(milliseconds)
            totals.append(total)
            if time.monotonic() > until:
                break
        server_ms, database_ms = ((now - before) / len(times) for now, before in zip(processor_ms(group, cursor), used))
        times.sort()
        at = {f"p{part}_ms": round(times[min(len(times) * part // 100, len(times) - 1)], 1) for part in (50, 99)}
        used = {"server_processor_ms": round(server_ms, 1), "database_processor_ms": round(database_ms, 1)}
        line(workload, **at, max_ms=round(times[-1], 1), **used, requests=len(times), totals=[min(totals), max(totals)])
    connection.close()


def workloads(count, names):
    """What is asked for, without end. Lemur leaves out what expired over a month ago unless told: every other request tells it."""
    from lemur_population import ROOTS, ISSUERS, host, hosts, issuer_name

    draw = random.Random(5)
    everything = {"showExpired": 1}
    last = max(count // PAGE, 1)

    def each(query):
        for number in itertools.count():
            yield {**query(number), **(everything if number % 2 else {})}

    def sort(field=None):
        return {"sortBy": field or draw.choice(SORTS), "sortDir": draw.choice(["asc", "desc"])}

    def part(_):
        name = host(draw.randrange(hosts(count)))
        number = "".join(filter(str.isdigit, name))
        return {"filter": "cn;" + draw.choice([number, number[1:], number[2:5], f"{number[3:]}.berlin", "example"]), **sort("cn")}

    def issuer(_):
        name = issuer_name(draw.randrange(ROOTS, ISSUERS))[0].replace(" ", "")
        return {"filter": f'issuer;"{name}"', **sort()}

    return {
        "first page of 50": each(lambda _: {}),
        "first page of 50, short form": each(lambda _: {"short": "true"}),
        "first page of 50, exact name of a host": each(lambda _: {"filter": f'cn;"{host(draw.randrange(hosts(count)))}"'}),
        "exact name of a certificate": each(lambda number: {"filter": f"fixedName;{names[number % len(names)]}", **everything}),
        "first page of 50, part of a name": each(part),
        "first page of 50, by issuer, any sort": each(issuer),
        "first page of 50, any sort": each(lambda number: sort(SORTS[number % len(SORTS)])),
        "page at 60 %, by id": each(lambda _: {"page": last * 6 // 10, **sort("id"), **everything}),
        "later pages of 50, any sort": each(lambda _: {"page": 1 + draw.randrange(last), **sort(), **everything}),
        "later pages of 50, any sort, short form": each(lambda _: {"page": 1 + draw.randrange(last), **sort(), **everything, "short": "true"}),
        "total of all, one row shown": each(lambda _: {"count": 1, **everything}),
    }


if __name__ == "__main__":
    main()
