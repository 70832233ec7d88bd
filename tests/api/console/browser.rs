//! A browser without scripts: keeps cookies, follows redirects by hand, fills in forms.

use std::collections::BTreeMap;

use cflite::testing::TestApp;
use reqwest::Method;

/// One browser with one user at most.
pub(super) struct Browser {
    http: reqwest::Client,
    /// `http://127.0.0.1:PORT`.
    pub(super) origin: String,
    pub(super) cookies: BTreeMap<String, String>,
    /// The token of the forms of the last page.
    pub(super) form_token: String,
}

/// What it got.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) location: String,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) text: String,
}

impl Page {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// What was sent to a script, as JSON.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).expect("JSON")
    }

    /// The value of a hidden field.
    pub(super) fn hidden(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let found = self.text.split_once(&start);
        let (_, rest) = found.unwrap_or_else(|| panic!("no field {name} in {}", self.text));
        let value = rest.split('"').next().unwrap_or_default();
        value.replace("&#38;", "&").replace("&amp;", "&")
    }
}

impl Browser {
    pub(super) fn new(app: &TestApp) -> Self {
        Self::at(&app.url())
    }

    pub(super) fn at(origin: &str) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Self {
            http,
            origin: origin.to_owned(),
            cookies: BTreeMap::new(),
            form_token: String::new(),
        }
    }

    /// Signs in by the form, as a user does, and ends at the console's home.
    pub(super) async fn sign_in(app: &TestApp, name: &str) -> Self {
        let mut browser = Self::new(app);
        let home = browser.log_in(name, "only-for-tests", "/console").await;
        assert_eq!(home.status, 200, "{home:?}");
        browser
    }

    /// The same from any page, which it returns.
    pub(super) async fn log_in(&mut self, name: &str, password: &str, page: &str) -> Page {
        let form = self.follow(page).await;
        let fields = [
            ("X-Uaa-Csrf", form.hidden("X-Uaa-Csrf")),
            ("form_redirect_uri", form.hidden("form_redirect_uri")),
            ("username", name.to_owned()),
            ("password", password.to_owned()),
        ];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let signed_in = self
            .send(Method::POST, "/login.do", Some(&fields), &[])
            .await;
        assert_eq!(signed_in.status, 302, "{signed_in:?}");
        self.follow(&signed_in.location).await
    }

    /// GET, following redirects and pages that go on by themselves.
    pub(super) async fn follow(&mut self, path: &str) -> Page {
        let mut path = path.to_owned();
        for _ in 0..12 {
            let page = self.get(&path).await;
            let refresh = page
                .text
                .split_once("http-equiv=\"refresh\" content=\"0;url=");
            if (300..400).contains(&page.status) {
                path.clone_from(&page.location);
            } else if let Some((_, rest)) = refresh {
                path = rest
                    .split('"')
                    .next()
                    .unwrap_or_default()
                    .replace("&#38;", "&");
            } else {
                return page;
            }
        }
        panic!("{path} leads in circles");
    }

    /// GET.
    pub(super) async fn get(&mut self, path: &str) -> Page {
        let page = self
            .send(Method::GET, path, None, &[("accept", "text/html")])
            .await;
        if let Some((_, rest)) = page.text.split_once("<body data-form=\"") {
            self.form_token = rest.split('"').next().unwrap_or_default().to_owned();
        }
        page
    }

    /// Sends a form as a page's script does, with everything a change needs.
    pub(super) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
        let (origin, token) = (self.origin.clone(), self.form_token.clone());
        let headers = [
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("x-cflite-script", "1"),
            ("x-cflite-form", token.as_str()),
        ];
        self.send(Method::POST, path, Some(form), &headers).await
    }

    /// An answer that does not end, such as a stream of events.
    pub(super) async fn stream(&self, path: &str, last: &str) -> reqwest::Response {
        let sent = self.open(path, last).send().await;
        sent.expect("an answer")
    }

    /// Whether an answer breaks off before its end.
    pub(super) async fn breaks_off(&self, path: &str) -> bool {
        match self.open(path, "").send().await {
            Ok(answer) => answer.bytes().await.is_err(),
            // Before its head was sent.
            Err(error) => !error.is_connect(),
        }
    }

    fn open(&self, path: &str, last: &str) -> reqwest::RequestBuilder {
        let cookies = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let cookies: Vec<String> = cookies.collect();
        let mut request = self.http.get(format!("{}{path}", self.origin));
        request = request.header("cookie", cookies.join("; "));
        if !last.is_empty() {
            request = request.header("last-event-id", last);
        }
        request
    }

    /// Anything.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        form: Option<&[(&str, &str)]>,
        headers: &[(&str, &str)],
    ) -> Page {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.origin)
        };
        let mut request = self.http.request(method, url);
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        request = request.header("cookie", cookies.join("; "));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(form) = form {
            let body: String = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(form)
                .finish();
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body);
        }
        let answer = request.send().await.expect("an answer");
        for line in answer.headers().get_all("set-cookie") {
            let line = line.to_str().expect("text");
            let (name, rest) = line.split_once('=').expect("a pair");
            let value = rest.split(';').next().unwrap_or_default();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = answer.headers().get("location");
        Page {
            status: answer.status().as_u16(),
            location: location
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            headers: answer.headers().clone(),
            text: answer.text().await.expect("a body"),
        }
    }
}
