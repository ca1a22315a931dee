#!/usr/bin/env python3
"""Has schemathesis ask the demonstration whatever its description allows, and what it doesn't, as a user and as an administrator.

  tests/contract/run.py <onsale>

It must find nothing: no answer that isn't described, nothing taken that the description refuses, nothing refused that it allows, and no
error of the server. The seed is fixed. <onsale> is a built binary; it is started on a directory and a port of its own, loopback only, and
stopped at the end, whereupon its books must add up. What schemathesis is told beside the description stands in schemathesis.toml and
hooks.py. It is installed at the versions of requirements.txt, into target/.
"""

import http.client, json, os, pathlib, re, shutil, signal, subprocess, sys, tempfile, threading, tomllib, venv

HERE = pathlib.Path(__file__).resolve().parent
INSTALLED = HERE.parent.parent / "target" / "contract"
# How long schemathesis may take as one caller: some ten times as long as it does.
SECONDS_MAX = 900
# What a payment service would sign its reports with. Nobody signs here: tests/api has the reports that are signed.
EXTERNAL_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def installed():
    """Returns schemathesis, installed as requirements.txt says."""
    wanted, stamp = (HERE / "requirements.txt").read_text(), INSTALLED / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(INSTALLED, clear=True, with_pip=True)
        pip = [INSTALLED / "bin" / "pip", "--disable-pip-version-check", "install", "--quiet", "--requirement", HERE / "requirements.txt"]
        subprocess.run(pip, check=True)
        stamp.write_text(wanted)
    return INSTALLED / "bin" / "schemathesis"


class Server:
    """The demonstration, with limits that one asker doesn't reach."""

    def __init__(self, binary, data):
        self.binary, self.data = binary, data
        env = {name: value for name, value in os.environ.items() if not name.startswith("ONSALE_")}
        env |= {"ONSALE_LISTEN": "127.0.0.1:0", "ONSALE_DATA_DIR": str(data), "ONSALE_RATE_LIMIT": "off",
                "ONSALE_LIMITS_READS_PER_SECOND": "off", "ONSALE_LIMITS_SIGN_INS_PER_MINUTE": "1000000",
                "ONSALE_JOURNAL_RESERVE_BYTES": "0", "ONSALE_LOG_FILTER": "error", "ONSALE_EXTERNAL_SECRET": EXTERNAL_SECRET}
        self.env = env
        self.process = subprocess.Popen([binary, "serve", "--demo"], env=env, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if found := re.search(r"http://(127\.0\.0\.1:\d+)/api/v1$", line.strip()):
                self.address = found[1]
                break
        else:
            sys.exit("the demonstration doesn't start")
        threading.Thread(target=lambda: [None for _ in self.process.stdout], daemon=True).start()

    def token(self, *args):
        command = [self.binary, "token", "--demo", *args]
        return subprocess.run(command, env=self.env, check=True, capture_output=True, text=True).stdout.strip()

    def ask(self, token, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        headers |= {"authorization": "Bearer " + token, "content-type": "application/json"}
        connection.request(method, "/api/v1" + path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        read = json.loads(response.read())
        assert response.status < 300, (method, path, read)
        return read

    def stop(self):
        """Stops it as an operator would, and has it say whether all is well with what it leaves."""
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(60) != 0:
            sys.exit(f"the demonstration ended with {self.process.returncode}")
        subprocess.run([self.binary, "verify"], env=self.env, check=True)


def things(server, user, admin):
    """Makes things that are there to be asked for, since nobody guesses an id: by the names of the dictionaries in schemathesis.toml."""
    schedules = server.ask(admin, "GET", "/admin/overview")["schedules"]
    opened = [one["scheduleId"] for one in schedules if one["status"] == "open" and one["queue"] is None]
    # A presale is for those who bring its code.
    opened = [one for one in opened if server.ask(user, "GET", f"/schedules/{one}").get("phase") is None]
    rooms = [one["scheduleId"] for one in schedules if one["status"] == "open" and one["queue"] is not None]
    if not rooms:
        rooms = [opened.pop()]
        plan = server.ask(admin, "GET", f"/schedules/{rooms[0]}")
        plan["policy"]["queue"] = {"maxActive": 10}
        server.ask(admin, "PUT", f"/schedules/{rooms[0]}", {"concertId": plan["concertId"], **{name: plan[name] for name in (
            "startsAt", "endsAt", "salesOpenAt", "salesCloseAt", "casting", "policy")}})
    held = [server.ask(user, "POST", "/reservations", {"scheduleId": one, "bestAvailable": {"count": 1}}) for one in opened[:4]]
    payment = server.ask(user, "POST", "/payments", {"reservationId": held[0]["reservationId"], "method": "card"}, **{"idempotency-key": "k"})
    order = server.ask(user, "POST", "/payments", {"reservationId": held[1]["reservationId"], "method": "external"}, **{"idempotency-key": "o"})
    seats = server.ask(user, "GET", f"/schedules/{opened[0]}/seats?status=available")["seats"]
    place = server.ask(user, "POST", "/queue/tokens", {"scheduleId": rooms[0]})
    return {
        "schedules": [*opened[:4], rooms[0]],
        "reservations": [one["reservationId"] for one in held],
        "payments": [payment["paymentId"], order["paymentId"]],
        "seats": [seat["seatId"] for seat in seats[-40:]],
        "rooms": rooms[:1],
        "passes": [place["token"]],
        "users": ["demo-1"],
    }


def run(schemathesis, server, work, token, name):
    print(f"\nas {name}", flush=True)
    command = [schemathesis, "--config-file", work / "schemathesis.toml", "run", f"http://{server.address}/openapi.json", "--no-color",
               "--header", f"Authorization: Bearer {token}", *sys.argv[2:]]
    env = os.environ | {"SCHEMATHESIS_HOOKS": str(HERE / "hooks.py"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=work, env=env, timeout=SECONDS_MAX).returncode == 0


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    schemathesis = installed()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        server = Server(pathlib.Path(sys.argv[1]).resolve(), work / "data")
        try:
            user = server.token("--user", "demo-1")
            # The scripts' token: nobody's, so that no request suspends the administrator.
            admin = tomllib.loads((work / "data" / "demo-secrets.toml").read_text())["admin_token"]
            shutil.copy(HERE / "schemathesis.toml", work)
            for name, values in things(server, user, admin).items():
                (work / f"{name}.txt").write_text("".join(f"{json.dumps(value, ensure_ascii=False)}\n" for value in values))
            # The user first: the administrator suspends, cancels and deletes.
            found_nothing = [run(schemathesis, server, work, user, "a user"), run(schemathesis, server, work, admin, "an administrator")]
            server.stop()
        finally:
            server.process.kill()
    sys.exit(0 if all(found_nothing) else 1)


main()
