//! `report.html`, and the pages of several runs, in a real browser.

mod browser;
mod checks;
mod records;
mod several;

use browser::Browser;
use checks::{DESK, NIGHT, SCREENS};
use records::Run;

/// The first table with the ladder's rows.
const LADDER: &str = "#the-ladder .data";
/// Of a run of a hundred thousand samples.
const MOST_BYTES: u64 = 5 * 1024 * 1024;

#[test]
fn a_page_opens_without_complaint_or_request_and_hostile_names_do_nothing() {
    let Some(browser) = Browser::start("opening a page") else {
        return;
    };
    let run = Run::of_starts(20);
    checks::expect_quiet(&browser, &run.page());
    assert_eq!(browser.value("return window.harmed === undefined"), true);
    assert_eq!(browser.value("return document.images.length"), 0);
    let shown = browser.value("return document.body.textContent.includes('window.harmed = 1')");
    assert_eq!(shown, true, "as words it is there");
    let turned = browser
        .value(r"return /[\u202a-\u202e\u2066-\u2069]/.test(document.documentElement.textContent)");
    assert_eq!(turned, false, "nothing turns other words around");
    // The policy holds against what would get through.
    browser.value("const s = document.createElement('script'); s.textContent = 'window.harmed = 3'; document.body.append(s)");
    assert_eq!(browser.value("return window.harmed === undefined"), true);
}

#[test]
fn rows_are_sorted_by_their_values_and_filtered_by_words() {
    let Some(browser) = Browser::start("sorting and filtering") else {
        return;
    };
    let run = Run::of_starts(20);
    browser.open(&run.page());
    let names = format!(
        "return [...document.querySelectorAll('{LADDER} tbody tr:not([hidden]) th')].map((cell) => cell.textContent)"
    );
    let before = browser.value(&names);
    let header = format!("{LADDER} thead th:nth-child(3) button");
    browser.click(&header);
    let sorted = browser.value(&names);
    assert_eq!(
        (&sorted[0], &sorted[1], &sorted[2]),
        (&"wasm".into(), &"faaslet-pooled".into(), &"thread".into())
    );
    let said = format!("return document.querySelector('{LADDER} thead th:nth-child(3)').ariaSort");
    assert_eq!(browser.value(&said), "ascending");
    // By keyboard.
    browser.keys(&header, "\u{e007}");
    assert_eq!(browser.value(&said), "descending");
    assert_eq!(browser.value(&names)[0], "docker-none");
    browser.keys(&header, "\u{e007}");
    assert_eq!(browser.value(&names), before, "the third time as it was");
    browser.keys(&format!("{LADDER} input"), "FAASlet pooled");
    assert_eq!(browser.value(&names), serde_json::json!(["faaslet-pooled"]));
    let count = browser.value(&format!(
        "return document.querySelector('{LADDER} output').textContent"
    ));
    assert_eq!(count, "1 of 8 rows");
}

#[test]
fn a_row_leads_to_its_distribution_and_that_to_each_sample() {
    let Some(browser) = Browser::start("following a row") else {
        return;
    };
    let run = Run::of_starts(20);
    browser.open(&run.page());
    browser.click(&format!("{LADDER} tbody th a[href='#rung-wasm']"));
    browser.awaited("return location.hash === '#rung-wasm'");
    browser.awaited("const place = document.querySelector('#rung-wasm').getBoundingClientRect(); return place.top >= -2 && place.top < 700");
    let pictures = "return [...document.querySelectorAll('#rung-wasm figure svg[role=img]')].every((svg) => svg.getBoundingClientRect().height > 50)";
    assert_eq!(browser.value(pictures), true);
    browser.click("#rung-wasm details.samples summary");
    let lines =
        browser.awaited("return document.querySelector('#rung-wasm textarea')?.value.split('\\n')");
    let lines = lines.as_array().expect("lines");
    assert_eq!(
        lines.len(),
        1 + run.count("wasm"),
        "a header and every sample"
    );
    assert_eq!(
        lines[0],
        "rung,function,measure,phase,metric,n,workers,process,block,warmup,order,value"
    );
    let link = browser.value("return document.querySelector('#rung-wasm details.samples a').href");
    assert!(
        link.as_str().is_some_and(|link| link.starts_with("blob:")),
        "{link}"
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_telephone_a_dark_room_and_paper_show_all_of_it() {
    let Some(browser) = Browser::start("screens and paper") else {
        return;
    };
    let run = Run::of_starts(20);
    let page = run.page();
    for (name, screen) in SCREENS {
        browser.emulate(screen);
        browser.open(&page);
        checks::expect_within(&browser, screen, name);
        for (at, view) in [
            "the-ladder",
            "rung-faaslet",
            "one-cold-start",
            "memory-of-parked-workers",
            "under-load",
            "how-many-fit",
        ]
        .iter()
        .enumerate()
        {
            browser.value(&format!(
                "document.getElementById('{view}').scrollIntoView()"
            ));
            browser.picture(&format!("{name}-{at}-{view}"));
        }
    }
    let colours =
        "getComputedStyle(document.body).backgroundColor + getComputedStyle(document.body).color";
    browser.emulate(DESK);
    let light = browser.value(&format!("return {colours}"));
    browser.emulate(NIGHT);
    browser.awaited(&format!("return {colours} !== {light}"));
    let printed = browser.printed();
    assert!(printed.starts_with(b"%PDF"), "a PDF");
    let pages = printed.windows(11).filter(|w| *w == b"/Type /Page").count();
    assert!(pages > 2, "{pages} pages");
}

#[test]
fn who_does_not_see_it_is_told_all() {
    let Some(browser) = Browser::start("a page without looking") else {
        return;
    };
    let run = Run::of_starts(5);
    browser.open(&run.page());
    checks::expect_told(&browser);
    let warned = browser.value("return document.querySelector('main').firstElementChild.id");
    assert_eq!(warned, "warnings", "warnings come first");
}

#[test]
fn a_hundred_thousand_samples_are_one_page_of_five_mebibytes() {
    let run = Run::of_starts(160);
    let page = run.page();
    let bytes = std::fs::metadata(&page).expect("made").len();
    assert!(bytes < MOST_BYTES, "{bytes} bytes");
    let Some(browser) = Browser::start("a large page") else {
        return;
    };
    browser.open(&page);
    let took = browser
        .value("return performance.timing.loadEventEnd - performance.timing.navigationStart");
    eprintln!("{bytes} bytes, opened in {took} ms");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
