//! Charts as SVG: values over time in equal steps, drawn here so that no page needs a library.

/// Steps of a chart.
pub(super) const STEPS: usize = 120;
/// Its size in units of its own.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 120.0;

/// A curve: a value for each step that has one.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    pub(super) name: &'static str,
    /// The class of its colour.
    pub(super) class: &'static str,
    pub(super) values: Vec<Option<f64>>,
}

/// A chart of some curves over one scale.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) curves: Vec<Drawn>,
    /// The greatest value, as people read it.
    pub(super) top: String,
    /// What it says in a sentence, for who does not see it.
    pub(super) summary: String,
    pub(super) is_empty: bool,
}

/// A curve as the data of an SVG path.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    pub(super) name: &'static str,
    pub(super) class: &'static str,
    pub(super) path: String,
    /// The newest value.
    pub(super) now: String,
}

/// A moment of the chart, such as a crash.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) x: String,
    pub(super) class: &'static str,
    pub(super) text: String,
    /// When, for the list below the charts.
    pub(super) at: String,
}

impl Chart {
    /// Draws curves; `limit` is a value that the scale reaches at least, and `shown` writes one.
    pub(super) fn new(
        title: &'static str,
        curves: Vec<Curve>,
        limit: f64,
        shown: impl Fn(f64) -> String,
    ) -> Self {
        let all = || {
            curves
                .iter()
                .flat_map(|curve| curve.values.iter().flatten().copied())
        };
        let highest = all().fold(0.0, f64::max);
        let top = highest.max(limit);
        let scale = if top > 0.0 { top } else { 1.0 };
        let drawn: Vec<Drawn> = { curves.iter() }
            .map(|curve| Drawn {
                name: curve.name,
                class: curve.class,
                path: path(&curve.values, scale),
                now: { curve.values.iter().rev().flatten().next() }
                    .map_or_else(|| "none".to_owned(), |value| shown(*value)),
            })
            .collect();
        let newest: Vec<String> = { drawn.iter() }
            .map(|curve| format!("{} {}", curve.name, curve.now))
            .collect();
        Self {
            title,
            top: shown(top),
            summary: format!(
                "{title}: now {}; at most {}",
                newest.join(", "),
                shown(highest)
            ),
            is_empty: all().next().is_none(),
            curves: drawn,
        }
    }
}

/// The horizontal place of a part of the time, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a place on a screen")]
pub(super) fn place(at: i64, (since, until): (i64, i64)) -> Option<String> {
    if at < since || at > until || until <= since {
        return None;
    }
    let part = (at as f64 - since as f64) / (until as f64 - since as f64);
    Some(format!("{:.1}", part * WIDTH))
}

/// The step of a time.
pub(super) fn step(at: i64, (since, until): (i64, i64)) -> Option<usize> {
    if at < since || at >= until {
        return None;
    }
    let steps = i128::try_from(STEPS).ok()?;
    let step =
        (i128::from(at) - i128::from(since)) * steps / (i128::from(until) - i128::from(since));
    usize::try_from(step).ok()
}

/// Missing values that a line goes over: instances are measured every 15 seconds, and a step of the
/// shortest chart is 5.
const BRIDGED: usize = 2;

/// Lines between values that follow each other, over gaps of at most [`BRIDGED`] steps.
#[expect(clippy::cast_precision_loss, reason = "a place on a screen")]
fn path(values: &[Option<f64>], scale: f64) -> String {
    let mut path = String::new();
    let mut gap = usize::MAX;
    for (step, value) in values.iter().enumerate() {
        let Some(value) = value else {
            gap = gap.saturating_add(1);
            continue;
        };
        let x = (step as f64 + 0.5) / STEPS as f64 * WIDTH;
        let y = HEIGHT - value / scale * (HEIGHT - 4.0) - 2.0;
        let verb = if gap <= BRIDGED { 'L' } else { 'M' };
        // A lone value is a dot: a line of no length with round ends.
        let dot = if verb == 'M' { "h0" } else { "" };
        let step = format!("{verb}{x:.1} {y:.1}{dot}");
        path.push_str(&step);
        gap = 0;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_lines_with_gaps() {
        let mut values = vec![None; STEPS];
        values[0] = Some(0.0);
        values[1] = Some(10.0);
        values[9] = Some(5.0);
        let curve = Curve {
            name: "a",
            class: "c1",
            values,
        };
        let chart = Chart::new("Load", vec![curve], 0.0, |value| format!("{value:.0} x"));
        assert_eq!(chart.curves[0].path, "M3.0 118.0h0L9.0 2.0M57.0 60.0h0");
        assert_eq!(chart.summary, "Load: now a 5 x; at most 10 x");
        assert!(!chart.is_empty);
        let empty = Curve {
            name: "a",
            class: "",
            values: vec![None; STEPS],
        };
        let chart = Chart::new("Load", vec![empty], 100.0, |value| format!("{value:.0}"));
        assert!(chart.is_empty && chart.curves[0].path.is_empty());
        assert_eq!(
            (chart.top.as_str(), chart.curves[0].now.as_str()),
            ("100", "none")
        );
    }

    #[test]
    fn short_gaps_are_bridged() {
        let some = Some(0.0);
        for (values, lines) in [
            (vec![some, None, some], 1),
            (vec![some, None, None, some], 1),
            (vec![some, None, None, None, some], 0),
            (vec![None, some], 0),
        ] {
            let path = path(&values, 1.0);
            assert_eq!(path.matches('L').count(), lines, "{values:?}: {path}");
        }
    }

    #[test]
    fn times_have_places() {
        let range = (1000, 2000);
        assert_eq!(place(1500, range).as_deref(), Some("360.0"));
        assert_eq!(place(999, range), None);
        assert_eq!(place(5, (5, 5)), None);
        assert_eq!(
            (step(1000, range), step(1999, range), step(2000, range)),
            (Some(0), Some(STEPS - 1), None)
        );
        assert_eq!(step(0, (i64::MIN, i64::MAX)), Some(STEPS / 2));
    }
}
