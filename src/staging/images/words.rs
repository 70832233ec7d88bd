//! What people are told while the images of a stack are made.
//!
//! The command line shows what the daemon writes. An app's staging log has no room for that: there
//! it becomes a few sentences, and its last lines are told only when the build fails.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::docker::Progress;

/// How often somebody who waits hears that the work goes on.
const NEWS_EVERY: Duration = Duration::from_secs(20);
/// Lines of output that explain a failure.
const LAST_LINES: usize = 10;

/// Where words for people go, and where what the daemon writes goes.
#[derive(Clone)]
pub(super) struct Told {
    words: Progress,
    pub(super) output: Progress,
}

impl Told {
    /// Both to one place.
    pub(super) fn everything(progress: &Progress) -> Self {
        Self {
            words: progress.clone(),
            output: progress.clone(),
        }
    }

    /// Says something in words.
    pub(super) fn say(&self, text: &str) {
        // Nobody has to listen.
        drop(self.words.send(text.to_owned()));
    }

    /// Passes on a line of output.
    pub(super) fn output(&self, line: &str) {
        drop(self.output.send(line.to_owned()));
    }
}

/// Words for people; the output is left to the listener, which tells in words how far it is.
pub(super) fn in_words(words: &Progress) -> (Told, Listener) {
    let (output, lines) = mpsc::unbounded_channel();
    let told = Told {
        words: words.clone(),
        output,
    };
    let words = words.clone();
    (told, Listener { words, lines })
}

/// Listens to the output of work that is told of in words.
pub(super) struct Listener {
    words: Progress,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Listener {
    /// Listens while `work` goes on, which drops what it was told by at its end.
    pub(super) async fn beside<T, E>(
        mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let (done, last) = tokio::join!(work, self.listen());
        if done.is_err() && !last.is_empty() {
            self.say("The stack was not made. The end of Docker's output:".to_owned());
            for line in last {
                self.say(format!("  {line}"));
            }
        }
        done
    }

    async fn listen(&mut self) -> VecDeque<String> {
        let begin = Instant::now();
        let mut news = tokio::time::interval_at(begin + NEWS_EVERY, NEWS_EVERY);
        let mut last = VecDeque::with_capacity(LAST_LINES);
        let mut step = None;
        loop {
            tokio::select! {
                line = self.lines.recv() => {
                    let Some(line) = line else { return last };
                    step = step_of(&line).or(step);
                    if last.len() == LAST_LINES {
                        last.pop_front();
                    }
                    last.push_back(line);
                }
                _ = news.tick() => {
                    self.say(going_on(step.as_deref(), begin.elapsed().as_secs()));
                }
            }
        }
    }

    fn say(&self, text: String) {
        drop(self.words.send(text));
    }
}

fn going_on(step: Option<&str>, seconds: u64) -> String {
    match step {
        Some(step) => format!("The stack is still being made: {step}, {seconds} s so far"),
        None => format!("The stack is still being made, {seconds} s so far"),
    }
}

/// `step 3 of 9` of a line such as `Step 3/9 : RUN …`.
fn step_of(line: &str) -> Option<String> {
    let (count, _) = line.strip_prefix("Step ")?.split_once(" : ")?;
    let (number, all) = count.split_once('/')?;
    let numbers = number.parse::<u32>().is_ok() && all.parse::<u32>().is_ok();
    numbers.then(|| format!("step {number} of {all}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told<F: Future<Output = Result<(), ()>>>(work: impl FnOnce(Told) -> F) -> Vec<String> {
        let (words, mut heard) = mpsc::unbounded_channel();
        let (told, listener) = in_words(&words);
        drop(words);
        // What it gives is what the work gives.
        listener.beside(work(told)).await.ok();
        let mut all = Vec::new();
        while let Some(text) = heard.recv().await {
            all.push(text);
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn output_becomes_a_few_sentences() {
        let all = told(async move |told| {
            told.say("Building...");
            told.output("Step 3/9 : RUN apt-get install");
            told.output("Get:1 http://deb.example bookworm");
            tokio::time::sleep(Duration::from_secs(45)).await;
            told.say("Built");
            Ok(())
        });
        assert_eq!(
            all.await,
            [
                "Building...",
                "The stack is still being made: step 3 of 9, 20 s so far",
                "The stack is still being made: step 3 of 9, 40 s so far",
                "Built",
            ]
        );
    }

    #[tokio::test]
    async fn a_failure_is_explained_by_the_last_lines() {
        let all = told(async move |told| {
            for number in 0..30 {
                told.output(&format!("line {number}"));
            }
            Err(())
        });
        let all = all.await;
        assert_eq!(all.len(), LAST_LINES + 1);
        assert_eq!(all.last().map(String::as_str), Some("  line 29"));
        assert!(told(async |_| Err(())).await.is_empty());
    }

    #[test]
    fn only_steps_are_read() {
        assert_eq!(step_of("Step 3/9 : RUN x").as_deref(), Some("step 3 of 9"));
        for other in ["Step by step", "Step a/b : c", " Step 1/2 : x", ""] {
            assert_eq!(step_of(other), None, "{other}");
        }
    }
}
