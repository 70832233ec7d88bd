//! The page with one card for each participant, to print and cut: one file that needs no other.

use std::path::Path;

use anyhow::Context;
use askama::Template;
use qrcodegen::{QrCode, QrCodeEcc};

use super::share::Addresses;
use super::state::Workshop;
use super::{lesson, make};
use crate::base::private_file;

/// White modules around a QR code, which readers need.
const QUIET: i32 = 4;

#[derive(Template)]
#[template(path = "workshop.html")]
struct Page<'a> {
    title: String,
    shared: bool,
    /// Size of the QR codes with their margin, and their dark modules as an SVG path.
    size: i32,
    code: String,
    console: &'a str,
    api: String,
    cards: Vec<Card<'a>>,
}

struct Card<'a> {
    name: &'a str,
    password: &'a str,
    space: &'static str,
    apps: Vec<String>,
}

/// Writes the page; only its owner may read it.
pub(super) fn write(
    workshop: &Workshop,
    addresses: &Addresses,
    domain: &str,
) -> anyhow::Result<()> {
    let html = render(workshop, addresses, domain)?;
    let path = &workshop.page;
    private_file::replace(path, html.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

fn render(workshop: &Workshop, addresses: &Addresses, domain: &str) -> anyhow::Result<String> {
    let mut cards = Vec::new();
    for one in &workshop.participants {
        let apps = match &workshop.lesson {
            Some(folder) => urls(folder, &one.name, domain, addresses)?,
            None => Vec::new(),
        };
        cards.push(Card {
            name: &one.name,
            password: one.password.expose(),
            space: make::SPACE,
            apps,
        });
    }
    let (size, code) = code(&addresses.console)?;
    // The certificate is one of the platform's own authority.
    let validation = if addresses.api.starts_with("https:") {
        " --skip-ssl-validation"
    } else {
        ""
    };
    let page = Page {
        title: format!("Workshop {}", workshop.prefix),
        shared: workshop.shared,
        size,
        code,
        console: &addresses.console,
        api: format!("cf api {}{validation}", addresses.api),
        cards,
    };
    Ok(page.render()?)
}

fn urls(
    folder: &Path,
    user: &str,
    domain: &str,
    addresses: &Addresses,
) -> anyhow::Result<Vec<String>> {
    let apps = lesson::apps(folder, user, domain)?;
    let (before, after) = &addresses.apps;
    let hosts = apps.iter().filter_map(lesson::url);
    Ok(hosts.map(|host| format!("{before}{host}{after}")).collect())
}

/// The size of a QR code and the path of its dark modules.
fn code(text: &str) -> anyhow::Result<(i32, String)> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium);
    let code = code.map_err(|_| anyhow::anyhow!("{text} is too long for a QR code"))?;
    let all = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
    let dark = all.filter(|(x, y)| code.get_module(*x, *y));
    let path: Vec<String> = dark
        .map(|(x, y)| format!("M{},{}h1v1h-1z", x + QUIET, y + QUIET))
        .collect();
    Ok((code.size() + 2 * QUIET, path.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;
    use crate::cli::workshop::state::Participant;

    #[test]
    fn every_participant_has_a_card_and_the_page_needs_nothing_else() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut workshop = Workshop::new("student", folder.path().join("page.html"));
        for name in ["student-01", "<b>"] {
            workshop.participants.push(Participant {
                name: name.to_owned(),
                password: Secret::new(format!("password of {name}")),
            });
        }
        let addresses = Addresses {
            console: "https://console.cf.lan".to_owned(),
            api: "https://api.cf.lan".to_owned(),
            apps: ("https://".to_owned(), String::new()),
        };
        write(&workshop, &addresses, "cf.lan").expect("written");
        let page = std::fs::read_to_string(&workshop.page).expect("readable");
        assert_eq!(page.matches("<section").count(), 2);
        assert!(page.contains("password of student-01"));
        assert!(page.contains("cf api https://api.cf.lan --skip-ssl-validation"));
        assert!(!page.contains("<b>"), "names are escaped");
        for part in ["src=", "<link", "<script", "@import", "url("] {
            assert!(!page.contains(part), "{part}");
        }
        assert_eq!(
            page.matches("https://").count(),
            4,
            "two addresses on each card"
        );
    }

    #[test]
    fn a_code_has_its_finder_patterns_within_a_quiet_zone() {
        let (size, path) = code("http://console.cf.localhost").expect("a code");
        assert_eq!((size - 2 * QUIET - 21) % 4, 0, "the size of a version");
        let corner = |x: i32, y: i32| path.contains(&format!("M{x},{y}h1v1h-1z"));
        let last = size - QUIET - 1;
        assert!(corner(QUIET, QUIET) && corner(last, QUIET) && corner(QUIET, last));
        assert!(!corner(QUIET + 1, QUIET + 1));
        code(&"x".repeat(5000)).expect_err("too long");
    }
}
