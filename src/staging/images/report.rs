//! Progress messages while the images of a stack are built.
//!
//! The command line shows the daemon's output. An app's staging log gets only a few messages, and
//! the last lines of the output if the build fails.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::docker::Progress;

/// How often a waiting user gets a progress message.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(20);
/// Lines of output that explain a failure.
const LAST_LINES: usize = 10;

/// Receives messages for users, and the daemon's output.
#[derive(Clone)]
pub(super) struct Reporter {
    messages: Progress,
    pub(super) output: Progress,
}

impl Reporter {
    /// Sends both to one place.
    pub(super) fn everything(progress: &Progress) -> Self {
        Self {
            messages: progress.clone(),
            output: progress.clone(),
        }
    }

    /// Sends a message.
    pub(super) fn message(&self, text: &str) {
        // The receiver may be gone.
        drop(self.messages.send(text.to_owned()));
    }

    /// Passes on a line of output.
    pub(super) fn output(&self, line: &str) {
        drop(self.output.send(line.to_owned()));
    }
}

/// Sends messages only; the listener consumes the output and reports progress as messages.
pub(super) fn summarized(messages: &Progress) -> (Reporter, Listener) {
    let (output, lines) = mpsc::unbounded_channel();
    let reporter = Reporter {
        messages: messages.clone(),
        output,
    };
    let messages = messages.clone();
    (reporter, Listener { messages, lines })
}

/// Consumes the output of a build and reports its progress.
pub(super) struct Listener {
    messages: Progress,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Listener {
    /// Runs `work`, which drops its [`Reporter`] at the end, and listens meanwhile.
    pub(super) async fn run<T, E>(
        mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let (done, last) = tokio::join!(work, self.listen());
        if done.is_err() && !last.is_empty() {
            self.message("Building the stack failed. Last lines of Docker's output:".to_owned());
            for line in last {
                self.message(format!("  {line}"));
            }
        }
        done
    }

    async fn listen(&mut self) -> VecDeque<String> {
        let begin = Instant::now();
        let mut ticks = tokio::time::interval_at(begin + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
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
                _ = ticks.tick() => {
                    self.message(progress_message(step.as_deref(), begin.elapsed().as_secs()));
                }
            }
        }
    }

    fn message(&self, text: String) {
        drop(self.messages.send(text));
    }
}

fn progress_message(step: Option<&str>, seconds: u64) -> String {
    match step {
        Some(step) => format!("Still building the stack: {step}, {seconds} s elapsed"),
        None => format!("Still building the stack, {seconds} s elapsed"),
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

    async fn reported<F: Future<Output = Result<(), ()>>>(
        work: impl FnOnce(Reporter) -> F,
    ) -> Vec<String> {
        let (messages, mut received) = mpsc::unbounded_channel();
        let (reporter, listener) = summarized(&messages);
        drop(messages);
        // The result is that of `work`; only the messages matter.
        listener.run(work(reporter)).await.ok();
        let mut all = Vec::new();
        while let Some(text) = received.recv().await {
            all.push(text);
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn output_becomes_a_few_sentences() {
        let all = reported(async move |reporter| {
            reporter.message("Building...");
            reporter.output("Step 3/9 : RUN apt-get install");
            reporter.output("Get:1 http://deb.example bookworm");
            tokio::time::sleep(Duration::from_secs(45)).await;
            reporter.message("Built");
            Ok(())
        });
        assert_eq!(
            all.await,
            [
                "Building...",
                "Still building the stack: step 3 of 9, 20 s elapsed",
                "Still building the stack: step 3 of 9, 40 s elapsed",
                "Built",
            ]
        );
    }

    #[tokio::test]
    async fn a_failure_is_explained_by_the_last_lines() {
        let all = reported(async move |reporter| {
            for number in 0..30 {
                reporter.output(&format!("line {number}"));
            }
            Err(())
        });
        let all = all.await;
        assert_eq!(all.len(), LAST_LINES + 1);
        assert_eq!(all.last().map(String::as_str), Some("  line 29"));
        assert!(reported(async |_| Err(())).await.is_empty());
    }

    #[test]
    fn only_steps_are_read() {
        assert_eq!(step_of("Step 3/9 : RUN x").as_deref(), Some("step 3 of 9"));
        for other in ["Step by step", "Step a/b : c", " Step 1/2 : x", ""] {
            assert_eq!(step_of(other), None, "{other}");
        }
    }
}
