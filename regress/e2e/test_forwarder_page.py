"""The page at `/` of the status server, in a real browser."""

import http.server
import json
import os
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest
from harness import postgres as pg
from harness.forwarder import PROGRAM, file_sink, http_sink, run
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

TABLE = "CREATE TABLE orders (id int PRIMARY KEY, note text)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     f"--user-data-dir={tmp_path_factory.mktemp('chromium')}", "--window-size=1100,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(service=webdriver.chrome.service.Service("/usr/bin/chromedriver"), options=options)
    yield made
    made.quit()


def url(forwarder, path="/"):
    return f"http://127.0.0.1:{forwarder.status_port()}{path}"


def go(browser, forwarder):
    """Opens the forwarder's page. The browser's earlier messages are dropped."""
    browser.get("about:blank")
    errors(browser)
    browser.get(url(forwarder))


def text(browser):
    return browser.find_element(By.TAG_NAME, "body").text


def shows(browser, words, seconds=30):
    pg.wait_until(lambda: words in text(browser), seconds, what=f"{words!r} on the page")


def errors(browser):
    return [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def test_the_page_shows_and_updates(db, fwd, browser):
    db.psql(TABLE)
    with fwd() as forwarder:
        go(browser, forwarder)
        shows(browser, "ready")
        shows(browser, "streaming")
        db.psql("INSERT INTO orders SELECT g, 'x' FROM generate_series(1, 1234) g")
        shows(browser, "1,234")
        assert forwarder.slot in text(browser)
        pg.wait_until(lambda: json.loads(forwarder.get("/history")[1])["pipelines"][0]["events"], 30,
                      what="a sample")
        lines = browser.find_elements(By.CSS_SELECTOR, "svg.spark path.line")
        pg.wait_until(lambda: any(line.get_attribute("d") for line in lines), 30, what="a line that is drawn")
        assert not errors(browser)
    shows(browser, "no answer")


def test_events_are_watched_with_the_keyboard(db, fwd, browser):
    db.psql(TABLE + "; CREATE TABLE people (id int PRIMARY KEY)")
    with fwd() as forwarder:
        go(browser, forwarder)
        shows(browser, "Watch")
        for _ in range(20):
            browser.switch_to.active_element.send_keys(Keys.TAB)
            if browser.switch_to.active_element.text == "Watch":
                break
        browser.switch_to.active_element.send_keys(Keys.ENTER)
        shows(browser, "Pause")
        time.sleep(1.5)     # it asks each second: only then it is watched
        db.psql("INSERT INTO orders VALUES (7, 'secret <b>note</b>'); INSERT INTO people VALUES (8)")
        shows(browser, '{"id":7}')
        shows(browser, "public.people")
        assert "secret" not in browser.page_source, "only keys are shown"
        browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys("people")
        pg.wait_until(lambda: "public.orders" not in text(browser), 30, what="the filter")
        shows(browser, "public.people")
        assert not errors(browser)


@pytest.mark.effect("status.tap")
@pytest.mark.parametrize("tap", ["off", "keys", "rows"])
def test_the_tap_shows_what_it_may(db, fwd, tap):
    db.psql(TABLE)
    with fwd(root=f"  tap: {tap}\ndrain: 5s") as forwarder:
        path = f"/tap?pipeline=test&after=0"
        forwarder.get(path)
        db.psql("INSERT INTO orders VALUES (7, 'a note')")
        forwarder.wait_for_events(1)
        events = json.loads(forwarder.get(path)[1])["events"]
        if tap == "off":
            assert events == []
            return
        assert events[0]["key"] == {"id": 7} and events[0]["table"] == "orders"
        assert events[0]["id"] == forwarder.events()[0]["id"]
        assert ("document" in events[0]) == (tap == "rows")
        if tap == "rows":
            assert events[0]["document"] == forwarder.events()[0]
        assert json.loads(forwarder.get(path + "&table=public.ord")[1])["events"]
        assert not json.loads(forwarder.get(path + "&table=people")[1])["events"]
        assert not json.loads(forwarder.get(path.replace("after=0", f"after={events[0]['number']}"))[1])["events"]
        # A site with its own name for this address gets no data.
        asked = urllib.request.Request(url(forwarder, path), headers={"Host": "evil.example:80"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked, timeout=10)
        assert refused.value.code == 403


def test_names_are_shown_as_text(db, fwd, browser, tmp_path):
    db.psql(TABLE)
    path = f"'{tmp_path}/<img src=x>.jsonl'"
    with fwd(sinks=file_sink(path)) as forwarder:
        go(browser, forwarder)
        shows(browser, "<img src=x>")
        assert not browser.find_elements(By.TAG_NAME, "img")
        assert not errors(browser)


def test_the_same_in_a_terminal(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        db.psql("INSERT INTO orders SELECT g FROM generate_series(1, 1234) g")
        forwarder.wait_for_events(1234)
        pg.wait_until(lambda: run("status", url(forwarder)).returncode == 0, 30, what="readiness")
        said = run("status", url(forwarder).removeprefix("http://")).stdout
        assert re.search(r"^pipeline test  streaming  slot \w+  lag 0.0 s", said, re.M), said
        assert re.search(r"^  sink file  delivering  delivered 1,234  waiting 0$", said, re.M), said
        watch = subprocess.Popen([PROGRAM, "status", "--watch", url(forwarder)], stdout=subprocess.PIPE, text=True)
        try:
            lines = iter(watch.stdout.readline, "")
            assert any(re.search("delivered 1,234  0/s", line) for line in lines)
        finally:
            watch.kill()
            watch.wait()
    gone = run("status", url(forwarder))
    assert gone.returncode == 1 and "walspout run" in gone.stderr and not gone.stdout


def test_sinks_are_controlled_with_the_keyboard(db, fwd, browser):
    db.psql(TABLE)
    with fwd(root="  control: a-token-of-a-test\ndrain: 5s") as forwarder:
        go(browser, forwarder)
        shows(browser, "delivering")
        assert "Pause" not in text(browser)
        field = browser.find_element(By.ID, "token")
        field.send_keys("a wrong one, of some length", Keys.ENTER)
        shows(browser, "Pause")
        button = browser.find_element(By.CSS_SELECTOR, "button[aria-label='Pause file']")
        button.send_keys(Keys.ENTER)
        shows(browser, "the token is wrong")
        assert [entry for entry in errors(browser) if "401" not in entry["message"]] == []
        field.send_keys("a-token-of-a-test", Keys.ENTER)
        shows(browser, "Pause")
        button.send_keys(Keys.ENTER)
        shows(browser, "Resume")
        shows(browser, "paused file")
        db.psql("INSERT INTO orders VALUES (1)")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["waiting"] == 1, 30, what="an event that waits")
        button.send_keys(Keys.ENTER)
        forwarder.wait_for_events(1)
        shows(browser, "delivering")
        assert "a-token" not in browser.page_source
        assert not errors(browser)


class Rejects(http.server.BaseHTTPRequestHandler):
    """A receiver that accepts nothing."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(422)
        self.send_header("Content-Length", "14")
        self.end_headers()
        self.wfile.write(b"<b>no note</b>")

    def log_message(self, *args):
        pass


@pytest.mark.parametrize("tap", ["keys", "rows", "off"])
def test_dead_letters_are_shown_as_far_as_they_may(db, fwd, browser, tmp_path, tap):
    db.psql(TABLE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Rejects) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with fwd(sinks=http_sink(server.server_port), pipeline=f"dead_letter: {{path: {tmp_path}/letters}}",
                 root=f"  tap: {tap}\ndrain: 5s") as forwarder:
            go(browser, forwarder)
            db.psql("INSERT INTO orders VALUES (7, 'a private note'), (8, 'another')")
            pg.wait_until(lambda: forwarder.status()["sinks"][0]["dead_letters"] == 2, 30, what="dead letters")
            if tap == "off":
                assert json.loads(forwarder.get("/letters?pipeline=test")[1]) == {"letters": []}
                assert "private" not in browser.page_source
            else:
                shows(browser, "Dead letters")
                shows(browser, '{"id":8}')
                assert ("a private note" in text(browser)) == (tap == "rows")
                assert ("422" in text(browser)) == (tap == "rows")
                assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
            assert not errors(browser)
        server.shutdown()


AXE = "axe-core@4.14.1"


def axe(folder):
    """The rules of axe-core, from npm; kept in build."""
    kept = os.path.join(pg.TOP, "build", f"{AXE}.js")
    if not os.path.exists(kept):
        subprocess.run(["npm", "pack", "--silent", AXE], cwd=folder, check=True, timeout=120, stdout=subprocess.DEVNULL)
        archive = next(name for name in os.listdir(folder) if name.endswith(".tgz"))
        done = subprocess.run(["tar", "-xzOf", archive, "package/axe.min.js"], cwd=folder, check=True, capture_output=True)
        whole = f"{kept}.{os.getpid()}"
        with open(whole, "wb") as file:
            file.write(done.stdout)
        os.rename(whole, kept)
    with open(kept) as file:
        return file.read()


@pytest.mark.parametrize("scheme, width", [("light", 1100), ("dark", 1100), ("dark", 390)])
def test_everybody_can_use_it(db, fwd, browser, tmp_path, scheme, width):
    """In both colours, and as wide as a phone."""
    db.psql(TABLE)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                            {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    with fwd(root="  control: a-token-of-a-test\ndrain: 5s") as forwarder:
        go(browser, forwarder)
        shows(browser, "delivering")
        browser.find_element(By.ID, "token").send_keys("a-token-of-a-test", Keys.ENTER)
        shows(browser, "Pause")
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        browser.execute_script(axe(tmp_path))
        found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
        assert not found["violations"], json.dumps(found["violations"], indent=1)[:3000]
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
