//! The variables by which programs find an HTTP proxy. Apps and builds get those of this process.

use url::Url;

/// Names of a proxy's address, each also in lower case.
const PROXIES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
const EXCEPTIONS: &str = "NO_PROXY";

/// `NAME=value` pairs for containers, from the environment of this process. The platform and this
/// machine are exceptions. A proxy that only this machine reaches is left out: containers do not.
pub(super) fn variables(
    domain: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Vec<(String, String)> {
    let value = |name: &str| {
        let given = environment(name).or_else(|| environment(&name.to_lowercase()));
        given.filter(|value| !value.is_empty())
    };
    let mut all = Vec::new();
    let mut add = |name: &str, value: &str| {
        for name in [name.to_owned(), name.to_lowercase()] {
            all.push((name, value.to_owned()));
        }
    };
    for name in PROXIES {
        if let Some(proxy) = value(name).filter(|proxy| is_reachable(proxy)) {
            add(name, &proxy);
        }
    }
    if all.is_empty() {
        return all;
    }
    let own = format!("localhost,127.0.0.1,.{domain},.apps.internal");
    let exceptions =
        value(EXCEPTIONS).map_or_else(|| own.clone(), |given| format!("{given},{own}"));
    for name in [EXCEPTIONS.to_owned(), EXCEPTIONS.to_lowercase()] {
        all.push((name, exceptions.clone()));
    }
    all
}

fn is_reachable(proxy: &str) -> bool {
    let with_scheme = if proxy.contains("://") {
        proxy.to_owned()
    } else {
        format!("http://{proxy}")
    };
    Url::parse(&with_scheme).is_ok_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name != "localhost",
        Some(url::Host::Ipv4(address)) => !address.is_loopback(),
        Some(url::Host::Ipv6(address)) => !address.is_loopback(),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &[(&str, &str)]) -> Vec<(String, String)> {
        variables("cf.test", |name| {
            let mut found = given.iter().filter(|(known, _)| *known == name);
            found.next().map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_proxy_comes_in_both_spellings_with_its_exceptions() {
        let all = of(&[
            ("https_proxy", "http://proxy.test:3128"),
            ("NO_PROXY", ".corp"),
        ]);
        let text: Vec<_> = all
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            text,
            [
                "HTTPS_PROXY=http://proxy.test:3128",
                "https_proxy=http://proxy.test:3128",
                "NO_PROXY=.corp,localhost,127.0.0.1,.cf.test,.apps.internal",
                "no_proxy=.corp,localhost,127.0.0.1,.cf.test,.apps.internal",
            ]
        );
    }

    #[test]
    fn without_a_proxy_that_containers_reach_there_are_none() {
        assert!(of(&[]).is_empty());
        assert!(of(&[("NO_PROXY", "x")]).is_empty());
        for proxy in ["", "localhost:3128", "http://127.0.0.1:1", "http://[::1]:1"] {
            assert!(of(&[("HTTP_PROXY", proxy)]).is_empty(), "{proxy}");
        }
    }
}
