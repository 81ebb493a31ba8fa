//! Debian's chromium, driven through its chromedriver by WebDriver's own requests. Clients in Rust want features of `hyper` that nothing else here
//! asks for, by which all that stands on it would be built a second time for tests.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Where it lies there.
const CHROMIUM: &str = "/usr/bin/chromium";
const CHROMEDRIVER: &str = "/usr/bin/chromedriver";
/// If set, a directory for pictures of each view, for whoever wants to look at them.
const SCREENSHOTS: &str = "FAASM_BENCH_SCREENSHOTS";
/// How long a page may take to be ready or to follow a click, on a host that does other things.
const LIMIT: Duration = Duration::from_mins(1);

/// What an element is called in answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one tab; ended on drop.
pub struct Browser {
    driver: Child,
    session: String,
    agent: ureq::Agent,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one, or says that `test` is skipped for want of it.
    pub fn start(test: &str) -> Option<Self> {
        for program in [CHROMIUM, CHROMEDRIVER] {
            if !Path::new(program).exists() {
                let why = format!("no {program}: apt-get install chromium chromium-driver");
                driver_testkit::skipped(test, why);
                return None;
            }
        }
        let (driver, base) = started_driver();
        let profile = tempfile::tempdir().expect("a directory");
        // What it refuses it says in the answer.
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.proxy(None).build().into();
        let made = posted(
            &agent,
            &format!("{base}/session"),
            &capabilities(profile.path()),
        );
        let id = made["sessionId"].as_str().expect("a session");
        let browser = Self {
            session: format!("{base}/session/{id}"),
            driver,
            agent,
            _profile: profile,
        };
        // It begins with a page of its own, which may still be loading and complains too.
        browser.go_to("about:blank", "document.readyState === 'complete'");
        browser.complaints();
        Some(browser)
    }

    /// Opens a file and waits until its script has run.
    pub fn open(&self, page: &Path) {
        let url = format!("file://{}", page.display());
        self.go_to(&url, "document.documentElement.dataset.ready === 'yes'");
    }

    /// Opens `url` and waits until it is there, which the driver may say too early, and `is_ready` is true.
    fn go_to(&self, url: &str, is_ready: &str) {
        self.ask("url", &json!({ "url": url }));
        self.awaited(&format!("return location.href === '{url}' && {is_ready}"));
    }

    /// What `script` returns in the page as soon as that is neither nothing nor false: what follows a click may take its time.
    pub fn awaited(&self, script: &str) -> Value {
        let end = Instant::now() + LIMIT;
        loop {
            let value = self.value(script);
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return value;
            }
            assert!(Instant::now() < end, "{script}: {:?}", self.complaints());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What `script` returns in the page.
    pub fn value(&self, script: &str) -> Value {
        self.ask("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Clicks on what `css` finds first, as a person would: it must be there to be seen.
    pub fn click(&self, css: &str) {
        let element = self.element(css);
        self.ask(&format!("element/{element}/click"), &json!({}));
    }

    /// Types into what `css` finds first.
    pub fn keys(&self, css: &str, keys: &str) {
        let element = self.element(css);
        self.ask(
            &format!("element/{element}/value"),
            &json!({ "text": keys }),
        );
    }

    fn element(&self, css: &str) -> String {
        let found = self.ask("element", &json!({ "using": "css selector", "value": css }));
        found[ELEMENT].as_str().expect(css).to_owned()
    }

    /// Everything that the browser complained of since it was asked last, blocked requests among it.
    pub fn complaints(&self) -> Vec<String> {
        let found = self.ask("se/log", &json!({ "type": "browser" }));
        let entries = found.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    /// Tells the browser what it is shown on.
    pub fn emulate(&self, screen: Screen) {
        let device = json!({ "width": screen.width, "height": 900, "deviceScaleFactor": 1, "mobile": screen.width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", &device);
        let scheme = if screen.is_dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &media);
    }

    /// As it would be on paper, a PDF.
    pub fn printed(&self) -> Vec<u8> {
        let print = self.ask("print", &json!({}));
        STANDARD
            .decode(print.as_str().expect("printed"))
            .expect("base64")
    }

    /// Keeps a picture of what is seen now, if somebody wants to look.
    pub fn picture(&self, name: &str) {
        if let Some(dir) = std::env::var_os(SCREENSHOTS) {
            let devtools = self.devtools("Page.captureScreenshot", &json!({ "format": "png" }));
            let picture = STANDARD.decode(devtools["data"].as_str().expect("a picture"));
            std::fs::create_dir_all(&dir).expect("a directory");
            let path = Path::new(&dir).join(name).with_extension("png");
            std::fs::write(path, picture.expect("base64")).expect("kept");
        }
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.ask(
            "goog/cdp/execute",
            &json!({ "cmd": command, "params": parameters }),
        )
    }

    fn ask(&self, what: &str, body: &Value) -> Value {
        posted(&self.agent, &format!("{}/{what}", self.session), body)
    }
}

/// The value that chromedriver answers `body` with.
fn posted(agent: &ureq::Agent, url: &str, body: &Value) -> Value {
    let request = agent.post(url).content_type("application/json");
    let answer = request.send(body.to_string());
    let text = answer.expect(url).body_mut().read_to_string().expect(url);
    let mut answer: Value = serde_json::from_str(&text).expect("JSON");
    let error = &answer["value"]["error"];
    assert!(
        error.is_null(),
        "{url}: {error}: {}",
        answer["value"]["message"]
    );
    answer["value"].take()
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// What a page is shown on.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// In pixels.
    pub width: u32,
    /// Light on dark.
    pub is_dark: bool,
}

/// The driver, on a port that it chooses, and its address.
fn started_driver() -> (Child, String) {
    let mut driver = Command::new(CHROMEDRIVER)
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let said = BufReader::new(driver.stdout.take().expect("its output"));
    let mut lines = said.lines().map_while(Result::ok);
    let port = lines.find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        Some(port.trim_end_matches('.').to_owned())
    });
    let port = port.expect("it says its port");
    // It would be ended by what it says to nobody.
    thread::spawn(move || lines.for_each(drop));
    (driver, format!("http://127.0.0.1:{port}"))
}

fn capabilities(profile: &Path) -> Value {
    let options = json!({
        "binary": CHROMIUM,
        // Root has no sandbox of its own; the page is one that was just written here.
        "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--window-size=1280,900", format!("--user-data-dir={}", profile.display())],
    });
    json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } } } })
}
