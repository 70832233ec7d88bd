//! Many guesses, and right attempts among them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::task::JoinSet;

use super::*;

const HERE: Source = Source::PLATFORM;

fn elsewhere() -> Source {
    Source::at([10, 0, 0, 9].into())
}

fn admin() -> Subject {
    Subject::new("user", "admin")
}

/// Keeps guessing, each time the previous response has arrived; counts the attempts that are
/// checked.
fn guess(throttle: &Throttle, guessers: u32) -> (JoinSet<()>, Arc<AtomicU32>) {
    let guesses = Arc::new(AtomicU32::new(0));
    let mut all = JoinSet::new();
    for _ in 0..guessers {
        let (throttle, guesses) = (throttle.clone(), guesses.clone());
        all.spawn(async move {
            loop {
                if let Ok(attempt) = throttle.attempt(HERE, admin()).await {
                    guesses.fetch_add(1, Ordering::Relaxed);
                    attempt.wrong().await;
                }
            }
        });
    }
    (all, guesses)
}

async fn right(throttle: &Throttle, source: Source) -> Duration {
    let before = Instant::now();
    throttle.attempt(source, admin()).await.unwrap().right();
    before.elapsed()
}

#[test]
fn pauses_grow_to_a_cap() {
    let cases = [
        (0, 0),
        (1, 0),
        (2, 0),
        (3, 500),
        (4, 1000),
        (5, 2000),
        (6, 4000),
        (7, 5000),
        (u32::MAX, 5000),
    ];
    for (failures, millis) in cases {
        assert_eq!(
            pause_after(failures),
            Duration::from_millis(millis),
            "{failures}"
        );
    }
    for (due, seconds) in [(1, 5), (16, 5), (32, 10), (96, 30), (u32::MAX, 30)] {
        let pause = crowded(LONGEST_PAUSE, due);
        assert_eq!(pause, Duration::from_secs(seconds), "{due}");
    }
    assert_eq!(crowded(Duration::ZERO, 200), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn clients_that_wait_for_responses_are_slow() {
    for guessers in [12, 100] {
        let throttle = Throttle::default();
        let (_guessing, guesses) = guess(&throttle, guessers);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let before = guesses.load(Ordering::Relaxed);
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            assert!(right(&throttle, HERE).await <= Duration::from_secs(1));
            assert_eq!(right(&throttle, elsewhere()).await, Duration::ZERO);
        }
        let in_a_minute = guesses.load(Ordering::Relaxed) - before;
        assert!(in_a_minute < 60 * 5, "{guessers}: {in_a_minute}");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_that_do_not_wait_use_up_their_own_budget() {
    let throttle = Throttle::default();
    for _ in 0..OF_SUBJECT.burst {
        drop(throttle.attempt(HERE, admin()).await.unwrap());
    }
    let older = throttle.attempt(HERE, admin());
    let newer = async {
        tokio::task::yield_now().await;
        right(&throttle, HERE).await
    };
    let (older, newer) = tokio::join!(older, newer);
    assert!(newer <= OF_SUBJECT.every, "{newer:?}");
    // Right attempts returned their budget at once.
    older.unwrap().right();
    assert_eq!(right(&throttle, elsewhere()).await, Duration::ZERO);
    let other = throttle.attempt(HERE, Subject::new("user", "bob")).await;
    other.unwrap().right();
}

#[tokio::test(start_paused = true)]
async fn many_concurrent_right_attempts_all_pass() {
    let (throttle, turns) = (Throttle::default(), turns::Turns::new(2));
    let mut all = JoinSet::new();
    for _ in 0..200 {
        let (throttle, turns) = (throttle.clone(), turns.clone());
        all.spawn(async move {
            let attempt = throttle.attempt(HERE, admin()).await.unwrap();
            let turn = turns.take(HERE).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(turn);
            attempt.right();
        });
    }
    let begin = Instant::now();
    all.join_all().await;
    assert_eq!(begin.elapsed(), Duration::from_secs(5), "two at a time");
}

#[tokio::test(start_paused = true)]
async fn no_attempt_waits_without_end() {
    let throttle = Throttle::default();
    let mut flood = JoinSet::new();
    for _ in 0..OF_SUBJECT.waiting + 200 {
        let throttle = throttle.clone();
        flood.spawn(async move {
            let before = Instant::now();
            let looked_at = throttle.attempt(HERE, admin()).await.is_ok();
            (looked_at, before.elapsed())
        });
    }
    let ended = flood.join_all().await;
    assert!(ended.iter().all(|(_, wait)| *wait <= MAX_WAIT));
    let looked_at = ended.iter().filter(|(looked_at, _)| *looked_at).count();
    assert!((48..=150).contains(&looked_at), "{looked_at}");
}

#[tokio::test]
async fn the_number_of_gates_is_bounded() {
    let throttle = Throttle::default();
    for number in 0..MAX_GATES + 10 {
        let subject = Subject::new("nobody", &number.to_string());
        let source =
            Source::at(std::net::Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into());
        throttle.attempt(source, subject).await.unwrap().right();
    }
    let remembered = throttle.0.lock().unwrap();
    assert!(remembered.sources.0.len() <= MAX_GATES);
    assert!(remembered.subjects.0.len() <= MAX_GATES);
}
