//! What holds of every page.

use std::path::Path;

use crate::browser::{Browser, Screen};

pub const DESK: Screen = Screen {
    width: 1280,
    is_dark: false,
};
pub const NIGHT: Screen = Screen {
    width: 1280,
    is_dark: true,
};
const TELEPHONE: Screen = Screen {
    width: 360,
    is_dark: false,
};
const TELEPHONE_AT_NIGHT: Screen = Screen {
    width: 360,
    is_dark: true,
};
/// What pages are shown on, and what pictures of that are called.
pub const SCREENS: [(&str, Screen); 4] = [
    ("desk", DESK),
    ("dark", NIGHT),
    ("telephone", TELEPHONE),
    ("telephone-dark", TELEPHONE_AT_NIGHT),
];

/// It opens without a complaint, and asks for nothing.
#[track_caller]
pub fn expect_quiet(browser: &Browser, page: &Path) {
    browser.open(page);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    assert_eq!(
        browser.value("return performance.getEntriesByType('resource').length"),
        0
    );
}

/// What scrolls by itself may be wider than the screen, and nothing else.
#[track_caller]
pub fn expect_within(browser: &Browser, screen: Screen, name: &str) {
    // It may be laid out for the screen before this one first.
    browser.awaited(&format!("return innerWidth === {}", screen.width));
    let beyond = "return [...document.querySelectorAll('body *')].filter((e) => !e.closest('.scroll > *, .skip, .hidden') && e.getBoundingClientRect().right > innerWidth + 1)
        .map((e) => `${e.tagName} ${e.className.baseVal ?? e.className} ${e.textContent.slice(0, 40)}`).slice(0, 5)";
    assert_eq!(browser.value(beyond), serde_json::json!([]), "{name}");
    let wide = browser
        .value("return document.documentElement.scrollWidth")
        .as_u64();
    assert!(
        wide.is_some_and(|wide| wide <= u64::from(screen.width)),
        "{name}: {wide:?}"
    );
}

/// Who does not see it is told all.
#[track_caller]
pub fn expect_told(browser: &Browser) {
    let checks = [
        (
            "each picture has words or is said beside",
            "return [...document.querySelectorAll('svg')].filter((s) => !s.closest('[aria-hidden]') && !s.hasAttribute('aria-label') && !s.closest('svg[aria-hidden], svg[aria-label]')).length",
        ),
        (
            "each table has a caption",
            "return [...document.querySelectorAll('table')].filter((t) => !t.caption).length",
        ),
        (
            "each field has a name",
            "return [...document.querySelectorAll('input, textarea')].filter((i) => !i.hasAttribute('aria-label')).length",
        ),
        (
            "no two landmarks have one name",
            "const names = [...document.querySelectorAll('section[aria-labelledby], [role=region]')].map((e) => e.ariaLabel ?? document.getElementById(e.getAttribute('aria-labelledby')).textContent); return names.length - new Set(names).size",
        ),
        (
            "each header has a scope",
            "return document.querySelectorAll('th:not([scope])').length",
        ),
        (
            "no id is there twice",
            "const ids = [...document.querySelectorAll('[id]')].map((e) => e.id); return ids.length - new Set(ids).size",
        ),
        (
            "each link within leads somewhere",
            "return [...document.querySelectorAll('a[href^=\"#\"]')].filter((a) => !document.getElementById(a.getAttribute('href').slice(1))).length",
        ),
        (
            "headings skip no level",
            "let last = 0; let skips = 0; for (const h of document.querySelectorAll('h1, h2, h3, h4')) { const level = Number(h.tagName[1]); if (level > last + 1) skips += 1; last = level; } return skips",
        ),
    ];
    for (what, script) in checks {
        assert_eq!(browser.value(script), 0, "{what}");
    }
}
