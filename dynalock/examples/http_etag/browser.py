"""Tests of the page in a real browser; `scripts/browser-test` installs what they need and starts them.

Each check makes an order of its own over HTTP, opens one or two windows on it, and asks the service afterwards what is stored. What
the browser sent and received is read from its own log of the network. No check waits for a time: each waits for what must happen.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import traceback
import urllib.request

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

# Seconds that a slow machine may take for anything.
PATIENCE = 60

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars --window-size=1000,860"
)

HOSTILE = "<img src=x onerror=\"window.hit = 1\"><script>window.hit = 1</script>'\"&amp;"

# What the merge view shows: of each field who changed it, what it was, is and would be, and what is chosen.
TABLE = """
return Object.fromEntries([...document.querySelectorAll("#rows tr")].map((line) => {
  const [was, yours, theirs] = [...line.querySelectorAll("td")].map((cell) => cell.innerText.trim());
  const chosen = line.querySelector("input:checked")?.value ?? null;
  const choices = line.querySelectorAll("input").length;
  return [line.dataset.field, { change: line.dataset.change, was, yours, theirs, chosen, choices }];
}));
"""

# The next answers of the service that the page gets, by script: a status, or "lost" for an answer that never arrives.
ANSWERS = """
const [real, script] = [window.fetch, arguments[0]];
window.fetch = async (url, options) => {
  const next = options.method === "PUT" ? script.shift() : undefined;
  if (next === undefined) return real(url, options);
  if (next === "lost") { await real(url, options); throw new TypeError("lost"); }
  if (next === "unsent") throw new TypeError("unsent");
  window.asked = (window.asked ?? 0) + 1;
  return new Response("{}", { status: next, headers: { "retry-after": "1" } });
};
"""


class Service:
    """The service under test, and its orders."""

    def __init__(self, program, log):
        self.process = subprocess.Popen([program, "--port", "0"], stdout=subprocess.PIPE, stderr=log, text=True)
        self.url = self.process.stdout.readline().strip().rstrip("/")
        assert self.url.startswith("http://"), "the service did not start"
        self.made = 0

    def ask(self, method, path, order=None, **headers):
        body = None if order is None else json.dumps(order).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json", **headers}, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            text = answer.read()
            return json.loads(text) if text else None, answer.headers["ETag"]

    def create(self, **members):
        """A new order, and the path of it."""
        self.made += 1
        plain = {"address": "12 Harbour Street, Bristol", "boxes": 2, "note": "Ring twice.", "status": "new"}
        order = {"id": f"A-{1042 + self.made}", **plain, **members}
        self.ask("POST", "/orders", order)
        return f"/orders/{order['id']}"

    def stored(self, path):
        order, _ = self.ask("GET", path)
        return {name: value for name, value in order.items() if name != "id"}

    def change(self, path, **members):
        """Writes as another client."""
        order, tag = self.ask("GET", path)
        self.ask("PUT", path, {**order, **members}, If_Match=tag)


class Window:
    """A window of the browser."""

    def __init__(self, house, path=None):
        self.driver, self.house = house.driver, house
        self.driver.switch_to.new_window("window")
        self.driver.set_window_size(1000, 860)
        self.handle = self.driver.current_window_handle
        if path:
            self.driver.get(f"{house.service.url}{path}/edit")
            self.until(lambda: self.sees("editor"), "the order is shown")

    def use(self):
        self.driver.switch_to.window(self.handle)
        return self

    def until(self, holds, what):
        waiting = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.05)
        waiting.until(lambda _: self.is_idle() and holds(), f"in vain: {what}. It says {self.message()!r}")

    def is_idle(self):
        return self.run("return document.readyState === 'complete' && !('busy' in document.body.dataset)")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def at(self, name):
        return self.driver.find_element(By.ID, name)

    def sees(self, name):
        return self.at(name).is_displayed()

    def message(self):
        return self.run("return document.getElementById('message')?.textContent ?? ''")

    def type(self, name, text):
        """Puts `text` into a field, as a person would."""
        field = self.at(name)
        if field.tag_name == "select":
            Select(field).select_by_visible_text(text)
        else:
            field.send_keys(Keys.CONTROL, "a")
            field.send_keys(text)

    def says(self, text):
        self.until(lambda: text in self.message(), f"it says {text!r}")

    def waits_for_a_busy_service(self):
        waiting = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.02)
        waiting.until(lambda _: "Trying once more in 1 s" in self.message(), "it says that it waits")

    def save(self):
        self.at("save").click()

    def merges(self):
        """Waits for the merge view, and returns what it shows."""
        self.until(lambda: self.sees("merge"), "the merge view is shown")
        assert not self.sees("editor")
        return self.run(TABLE)

    def choose(self, field, side):
        self.driver.find_element(By.CSS_SELECTOR, f"#rows input[name={field}][value={side}]").click()

    def answers(self):
        """Method and status of every exchange about orders since the last look, from the browser's log."""
        methods, answers = {}, []
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            told = event["params"]
            if event["method"] == "Network.requestWillBeSent":
                methods[told["requestId"]] = told["request"]["method"]
            elif event["method"] == "Network.responseReceived" and told["type"] == "Fetch":
                answers.append((methods.get(told["requestId"]), told["response"]["status"]))
        return answers

    def picture(self, name):
        self.use()
        self.driver.save_screenshot(str(self.house.pictures / f"{name}.png"))


class House:
    """What the checks share."""

    def __init__(self, driver, service, pictures):
        self.driver, self.service, self.pictures = driver, service, pictures

    def two_windows(self, path):
        return Window(self, path), Window(self, path)


def equal(found, expected):
    assert found == expected, f"\n  found    {found}\n  expected {expected}"


# ---- the checks


def the_slower_window_sees_both_versions_and_merges(house):
    path = house.service.create()
    a, b = house.two_windows(path)
    a.use().type("address", "3 Quay Road, Bristol")
    a.type("status", "paid")
    a.picture("1-window-a-before")
    b.use().type("boxes", "5")
    b.type("status", "packed")
    b.picture("2-window-b-before")

    a.use().save()
    a.says("Saved.")
    a.picture("3-window-a-saved")
    b.use().answers()
    b.save()
    table = b.merges()
    equal(b.answers(), [("PUT", 412)])
    b.picture("4-window-b-merge")
    street = "12 Harbour Street, Bristol"
    equal(table, {
        "address": {"change": "theirs", "was": street, "yours": street, "theirs": "3 Quay Road, Bristol", "chosen": "theirs", "choices": 2},
        "boxes": {"change": "mine", "was": "2", "yours": "5", "theirs": "2", "chosen": "mine", "choices": 2},
        "status": {"change": "both", "was": "new", "yours": "packed", "theirs": "paid", "chosen": None, "choices": 2},
        "note": {"change": "none", "was": "Ring twice.", "yours": "Ring twice.", "theirs": "Ring twice.", "chosen": None, "choices": 0},
    })
    theirs = {"address": "3 Quay Road, Bristol", "boxes": 2, "note": "Ring twice.", "status": "paid"}
    equal(house.service.stored(path), theirs)

    # Without a choice where both changed something, nothing is sent.
    b.at("save-merged").click()
    assert b.sees("merge") and b.run("return document.activeElement.name") == "status"
    equal(b.answers(), [])

    b.choose("status", "mine")
    b.picture("5-window-b-chosen")
    b.at("save-merged").click()
    b.says("Saved, merged with theirs.")
    equal(b.answers(), [("PUT", 200)])
    b.picture("6-window-b-merged")
    equal(house.service.stored(path), {**theirs, "boxes": 5, "status": "packed"})
    assert not b.sees("merge") and b.at("boxes").get_attribute("value") == "5"
    assert b.at("address").get_attribute("value") == "3 Quay Road, Bristol"

    # The first window is the slower one now.
    a.use().type("note", "Ring once.")
    a.save()
    changes = {field: (row["change"], row["chosen"]) for field, row in a.merges().items()}
    equal(changes, {
        "address": ("none", None),
        "boxes": ("theirs", "theirs"),
        "status": ("theirs", "theirs"),
        "note": ("mine", "mine"),
    })
    a.at("save-merged").click()
    a.says("Saved, merged with theirs.")
    equal(house.service.stored(path), {**theirs, "boxes": 5, "status": "packed", "note": "Ring once."})


def who_is_overtaken_while_merging_merges_again(house):
    path = house.service.create()
    window = Window(house, path)
    window.type("note", "Mine.")
    house.service.change(path, boxes=7, note="Theirs.")
    window.save()
    equal(window.merges()["note"]["chosen"], None)
    window.choose("note", "mine")
    house.service.change(path, status="paid", note="Theirs again.")
    window.answers()
    window.at("save-merged").click()
    window.until(lambda: window.run(TABLE)["note"]["theirs"] == "Theirs again.", "the newer order is shown")
    equal(window.answers(), [("PUT", 412)])
    table = window.run(TABLE)
    equal({field: (row["change"], row["was"], row["chosen"]) for field, row in table.items()}, {
        "address": ("none", "12 Harbour Street, Bristol", None),
        "boxes": ("none", "7", None),
        "status": ("theirs", "new", "theirs"),
        "note": ("both", "Theirs.", None),
    })
    window.choose("note", "theirs")
    window.at("save-merged").click()
    window.says("Saved, merged with theirs.")
    stored = house.service.stored(path)
    equal((stored["boxes"], stored["status"], stored["note"]), (7, "paid", "Theirs again."))


def who_gives_way_takes_theirs(house):
    path = house.service.create()
    window = Window(house, path)
    window.type("note", "Mine.")
    house.service.change(path, note="Theirs.")
    window.save()
    window.merges()
    window.at("discard").click()
    window.says("This is theirs.")
    equal(window.at("note").get_attribute("value"), "Theirs.")
    window.type("note", "Agreed.")
    window.save()
    window.says("Saved.")
    equal(house.service.stored(path)["note"], "Agreed.")


def what_looks_like_html_is_text(house):
    path = house.service.create(address=HOSTILE, note=HOSTILE)
    window = Window(house, path)
    window.type("address", HOSTILE + "1")
    house.service.change(path, address=HOSTILE + "2", boxes=3)
    window.save()
    table = window.merges()
    equal([table["address"][side] for side in ("was", "yours", "theirs")], [HOSTILE, HOSTILE + "1", HOSTILE + "2"])
    equal(table["note"]["theirs"], HOSTILE)
    window.picture("7-hostile-text")
    assert window.run("return document.querySelector('main img, main script') === null"), "it became an element"
    assert window.run("return window.hit === undefined"), "it ran"
    window.choose("address", "mine")
    window.at("save-merged").click()
    window.says("Saved, merged with theirs.")
    equal(house.service.stored(path)["address"], HOSTILE + "1")


def a_keyboard_is_enough(house):
    path = house.service.create()
    window = Window(house, path)
    house.service.change(path, address="3 Quay Road, Bristol", boxes=4)

    def press(*keys):
        window.driver.switch_to.active_element.send_keys(*keys)

    def focus():
        return window.run("const { id, name, value } = document.activeElement; return id || `${name}=${value}`")

    window.run("document.activeElement.blur()")
    window.driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    equal(focus(), "address")
    press(Keys.CONTROL, "a")
    press("9 Mill Lane, Leeds", Keys.ENTER)
    window.merges()
    equal(focus(), "merge-title")
    press(Keys.TAB, Keys.SPACE)
    equal(focus(), "address=mine")
    press(Keys.ARROW_RIGHT)
    equal(focus(), "address=theirs")
    press(Keys.ARROW_LEFT)
    press(Keys.TAB)
    equal(focus(), "boxes=theirs")
    press(Keys.TAB)
    equal(focus(), "save-merged")
    window.picture("8-keyboard")
    press(Keys.ENTER)
    window.says("Saved, merged with theirs.")
    stored = house.service.stored(path)
    equal((stored["address"], stored["boxes"]), ("9 Mill Lane, Leeds", 4))


def a_phone_and_the_dark_are_no_obstacle(house):
    path = house.service.create()
    window = Window(house, path)
    window.type("status", "packed")
    window.type("boxes", "5")
    house.service.change(path, address="An address so long that it cannot fit into one line of a phone, Bristol", status="paid")
    window.save()
    window.merges()
    window.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    window.picture("9-dark")
    window.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    phone = {"width": 390, "height": 1000, "deviceScaleFactor": 1, "mobile": True}
    window.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    window.run("scrollTo(0, 0)")
    window.picture("10-phone")
    assert window.run("return document.documentElement.scrollWidth <= innerWidth"), "it is wider than the phone"
    # Who sees no columns is told which cell is whose.
    titles = window.run("return [...document.querySelectorAll('td')].map((td) => getComputedStyle(td, '::before').content)")
    equal(titles[:3], ['"Was"', '"Yours"', '"Theirs"'])
    window.choose("status", "theirs")
    window.at("save-merged").click()
    window.says("Saved, merged with theirs.")
    window.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def a_busy_service_is_asked_once_more(house):
    path = house.service.create()
    window = Window(house, path)
    window.run(ANSWERS, [503])
    window.type("note", "Patient.")
    window.save()
    window.waits_for_a_busy_service()
    window.says("Saved.")
    equal((window.run("return window.asked"), house.service.stored(path)["note"]), (1, "Patient."))

    window.run(ANSWERS, [503, 503, 503])
    window.type("note", "More patient.")
    window.save()
    window.says("Not saved. The service is still busy.")
    equal((window.run("return window.asked"), window.at("note").get_attribute("value")), (3, "More patient."))
    equal(house.service.stored(path)["note"], "Patient.")


def who_gets_no_answer_finds_out(house):
    path = house.service.create()
    window = Window(house, path)
    window.run(ANSWERS, ["lost"])
    window.type("note", "Lost.")
    window.save()
    window.says("The answer was lost, but this was saved.")
    equal(house.service.stored(path)["note"], "Lost.")

    window.run(ANSWERS, ["unsent", 504])
    window.type("note", "Unsent.")
    for _ in range(2):
        window.save()
        window.says("this was not saved so far")
    equal(house.service.stored(path)["note"], "Lost.")
    window.save()
    window.says("Saved.")
    equal(house.service.stored(path)["note"], "Unsent.")

    window.run(ANSWERS, ["unsent"])
    window.type("note", "Overtaken.")
    house.service.change(path, boxes=9)
    window.save()
    equal(window.merges()["boxes"]["chosen"], "theirs")


def what_is_wrong_is_told_and_nothing_typed_is_lost(house):
    path = house.service.create()
    window = Window(house, path)
    window.type("note", "Kept.")
    window.run(ANSWERS, [428])
    window.save()
    window.says("This page is older than the service.")

    window.run("document.getElementById('boxes').max = 5000")
    window.type("boxes", "1000")
    window.save()
    window.says("Boxes must be a whole number from 1 to 999.")
    window.type("boxes", "999")

    _, tag = house.service.ask("GET", path)
    house.service.ask("DELETE", path, If_Match=tag)
    window.save()
    window.says("There is no such order, or no longer.")
    equal(window.at("note").get_attribute("value"), "Kept.")

    absent = Window(house)
    absent.driver.get(f"{house.service.url}/orders/never/edit")
    absent.says("Not loaded. There is no such order")
    assert not absent.sees("editor")


def what_the_form_cannot_hold_stays_as_it_is(house):
    path = house.service.create(address="Flat 2\n12 Harbour Street", note="One.\r\nTwo.")
    stored = house.service.stored(path)
    window = Window(house, path)
    window.type("boxes", "3")
    window.save()
    window.says("Saved.")
    equal(house.service.stored(path), {**stored, "boxes": 3})

    house.service.change(path, status="paid")
    window.type("boxes", "4")
    window.save()
    changes = {field: row["change"] for field, row in window.merges().items()}
    equal(changes, {"address": "none", "boxes": "mine", "status": "theirs", "note": "none"})
    window.at("save-merged").click()
    window.says("Saved, merged with theirs.")
    equal(house.service.stored(path), {**stored, "boxes": 4, "status": "paid"})


def nothing_is_typed_into_an_order_that_is_on_its_way(house):
    path = house.service.create()
    window = Window(house, path)
    window.run(ANSWERS, [503])
    window.type("note", "One.")
    window.save()
    window.waits_for_a_busy_service()
    equal(window.run("return [...document.querySelectorAll('#editor [name], button')].every((control) => control.disabled)"), True)
    window.says("Saved.")
    window.type("note", "Two.")
    window.save()
    window.until(lambda: house.service.stored(path)["note"] == "Two.", "it is saved")


CHECKS = [
    the_slower_window_sees_both_versions_and_merges,
    who_is_overtaken_while_merging_merges_again,
    who_gives_way_takes_theirs,
    what_looks_like_html_is_text,
    a_keyboard_is_enough,
    a_phone_and_the_dark_are_no_obstacle,
    a_busy_service_is_asked_once_more,
    who_gets_no_answer_finds_out,
    what_is_wrong_is_told_and_nothing_typed_is_lost,
    what_the_form_cannot_hold_stays_as_it_is,
    nothing_is_typed_into_an_order_that_is_on_its_way,
]


def browser(profile):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in [*FLAGS.split(), f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    service = webdriver.ChromeService(executable_path="/usr/bin/chromedriver")
    return webdriver.Chrome(options=options, service=service)


def main(program, pictures):
    pictures = pathlib.Path(pictures)
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.png"):
        old.unlink()
    failed = 0
    with tempfile.TemporaryDirectory() as profile, open(pictures / "service.log", "w") as log:
        service = Service(program, log)
        try:
            driver = browser(profile)
            try:
                house = House(driver, service, pictures)
                for check in CHECKS:
                    failed += not holds(check, house)
            finally:
                driver.quit()
        finally:
            service.process.terminate()
            service.process.wait()
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return failed > 0


def holds(check, house):
    first = house.driver.current_window_handle
    try:
        check(house)
        print(f"ok      {check.__name__}", flush=True)
        return True
    except Exception:
        print(f"FAILED  {check.__name__}\n{traceback.format_exc()}", flush=True)
        house.driver.save_screenshot(str(house.pictures / f"failed-{check.__name__}.png"))
        return False
    finally:
        for handle in house.driver.window_handles:
            if handle != first:
                house.driver.switch_to.window(handle)
                house.driver.close()
        house.driver.switch_to.window(first)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
