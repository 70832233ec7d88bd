//! The endpoints of the v3 API, and whether the platform serves them.

use cflite::testing::TestClient;

/// A guid that nothing has.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// One line of `endpoints.txt`.
pub(crate) struct Endpoint {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Whether the cf CLI asks for it.
    pub(crate) cli: bool,
    /// Whether the platform knows it.
    pub(crate) served: bool,
    /// Whether a command was answered by it.
    pub(crate) played: bool,
}

impl Endpoint {
    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        let path = super::folder().join("endpoints.txt");
        let text = std::fs::read_to_string(path).expect("endpoints.txt");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let mut words = line.split_whitespace();
                Self {
                    method: words.next().expect("a method").to_owned(),
                    path: words.next().expect("a path").to_owned(),
                    cli: words.next() == Some("cli"),
                    served: false,
                    played: false,
                }
            })
            .collect()
    }

    /// The path with a guid that nothing has in the place of each name.
    pub(crate) fn example(&self) -> String {
        let words = self.path.split('/').map(|word| match word {
            ":index" => "0",
            word if word.starts_with(':') => NOBODY,
            word => word,
        });
        words.collect::<Vec<_>>().join("/")
    }

    /// Asks the platform with a body that nothing accepts. What it does not know it answers with
    /// CC's `Unknown request`.
    pub(crate) async fn probe(&mut self, admin: &TestClient) {
        let path = self.example();
        let answer = admin
            .raw(&self.method, &path, "application/json", b"[]".to_vec())
            .await
            .expect("an answer");
        assert!(answer.status < 500, "{} {path}: {answer:?}", self.method);
        self.served = answer.detail() != "Unknown request";
    }

    /// How many names stand for words of `path`; nothing when it is another endpoint's.
    pub(crate) fn distance(&self, path: &str) -> Option<usize> {
        let (mine, theirs) = (self.path.split('/'), path.split('/'));
        if mine.clone().count() != theirs.clone().count() {
            return None;
        }
        let mut names = 0;
        for (mine, theirs) in mine.zip(theirs) {
            if mine.starts_with(':') {
                names += 1;
            } else if mine != theirs {
                return None;
            }
        }
        Some(names)
    }
}
