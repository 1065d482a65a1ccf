//! Two things measured side by side.
//!
//! Everything here is a ratio: what ours takes over what the peer takes, run alternately in one
//! process, so that other work of the machine hits both. Criterion keeps the ratios as its
//! measured values, and so compares them with `--baseline`.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use criterion::measurement::{Measurement, ValueFormatter};
use criterion::{Criterion, SamplingMode, Throughput};

/// How many pairs a figure is the median of.
pub(crate) const PAIRS: usize = 21;

/// Alternations within one pair: a millisecond or two each, so that both sides meet every change of the
/// machine's speed, which a shared one makes several times a second.
const TURNS: u64 = 48;

/// A measured value that is a ratio.
pub(crate) struct Ratio;

impl Measurement for Ratio {
    type Intermediate = ();
    type Value = f64;

    fn start(&self) {}

    fn end(&self, (): ()) -> f64 {
        0.0
    }

    fn add(&self, a: &f64, b: &f64) -> f64 {
        a + b
    }

    fn zero(&self) -> f64 {
        0.0
    }

    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &Ratio
    }
}

impl ValueFormatter for Ratio {
    fn scale_values(&self, _typical: f64, _values: &mut [f64]) -> &'static str {
        "x"
    }

    fn scale_throughputs(
        &self,
        _typical: f64,
        _throughput: &Throughput,
        _values: &mut [f64],
    ) -> &'static str {
        "x"
    }

    fn scale_for_machines(&self, _values: &mut [f64]) -> &'static str {
        "x"
    }
}

/// One line of the table.
pub(crate) struct Row {
    name: String,
    ours: String,
    peer: String,
    ratio: Option<f64>,
    target: &'static str,
}

/// The figures so far.
pub(crate) struct Table {
    criterion: Criterion<Ratio>,
    only: Option<String>,
    rows: Vec<Row>,
    begun: Instant,
}

pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Nanoseconds as a person reads them.
pub(crate) fn nanos(nanos: f64) -> String {
    match nanos {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.2} µs", n / 1e3),
        n if n < 1e9 => format!("{:.2} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

/// The figures that the command names, if it does: the one argument that is neither an option nor
/// the value of one, as for `--baseline before`.
fn named(arguments: impl Iterator<Item = String>) -> Option<String> {
    let mut value = false;
    for argument in arguments {
        if !value && !argument.starts_with('-') {
            return Some(argument);
        }
        // What takes no value, of the options that criterion and cargo pass on.
        value = argument.starts_with("--")
            && !argument.contains('=')
            && ![
                "--bench",
                "--test",
                "--exact",
                "--list",
                "--quick",
                "--verbose",
                "--quiet",
                "--noplot",
                "--discard-baseline",
            ]
            .contains(&&*argument);
    }
    None
}

/// A throughput as a person reads it.
pub(crate) fn per_second(rate: f64) -> String {
    match rate {
        rate if rate < 1e4 => format!("{rate:.0}/s"),
        rate => format!("{:.0}k/s", rate / 1e3),
    }
}

/// Two throughputs, measured alternately, and their ratio.
pub(crate) fn throughputs(
    mut ours: impl FnMut() -> f64,
    mut peer: impl FnMut() -> f64,
) -> (f64, f64, f64) {
    let pairs: Vec<_> = (0..PAIRS)
        .map(|turn| {
            // Who comes first changes too.
            if turn % 2 == 0 {
                (ours(), peer())
            } else {
                let peer = peer();
                (ours(), peer)
            }
        })
        .collect();
    (
        median(pairs.iter().map(|(a, _)| *a).collect()),
        median(pairs.iter().map(|(_, b)| *b).collect()),
        median(pairs.iter().map(|(a, b)| a / b).collect()),
    )
}

/// Whether a ratio misses a target such as `<= 0.5`.
fn missed(ratio: f64, target: &str) -> bool {
    let (sign, number) = target.split_once(' ').unwrap_or_default();
    match (sign, number.parse::<f64>()) {
        ("<=", Ok(most)) => ratio > most,
        (">=", Ok(least)) => ratio < least,
        _ => false,
    }
}

fn time(run: &mut dyn FnMut(), times: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        run();
    }
    start.elapsed()
}

impl Table {
    pub(crate) fn new() -> Self {
        let criterion = Criterion::default()
            .with_measurement(Ratio)
            .sample_size(PAIRS)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(2))
            .without_plots()
            .configure_from_args();
        Self {
            criterion,
            only: named(std::env::args().skip(1)),
            rows: Vec::new(),
            begun: Instant::now(),
        }
    }

    /// Whether a figure is wanted: all are, unless the command names one.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| name.contains(only))
    }

    /// Runs two things alternately and notes the ratio of their times.
    pub(crate) fn pair(
        &mut self,
        name: &str,
        target: &'static str,
        mut ours: impl FnMut(),
        mut peer: impl FnMut(),
    ) {
        if !self.wants(name) {
            return;
        }
        let measured = Rc::new(RefCell::new(Vec::new()));
        let samples = measured.clone();
        let mut group = self.criterion.benchmark_group("figures");
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let each = times.div_ceil(TURNS);
                let (mut a, mut b) = (Duration::ZERO, Duration::ZERO);
                for turn in 0..TURNS {
                    // Who comes first changes too.
                    if turn % 2 == 0 {
                        a += time(&mut ours, each);
                        b += time(&mut peer, each);
                    } else {
                        b += time(&mut peer, each);
                        a += time(&mut ours, each);
                    }
                }
                let runs = (each * TURNS) as f64;
                let (a, b) = (a.as_nanos() as f64 / runs, b.as_nanos() as f64 / runs);
                samples.borrow_mut().push((a, b));
                a / b * times as f64
            });
        });
        group.finish();
        // Warm-up runs came first.
        let mut measured = measured.take();
        let measured = measured.split_off(measured.len().saturating_sub(PAIRS));
        self.rows.push(Row {
            name: name.to_owned(),
            ours: nanos(median(measured.iter().map(|(a, _)| *a).collect())),
            peer: nanos(median(measured.iter().map(|(_, b)| *b).collect())),
            ratio: Some(median(measured.iter().map(|(a, b)| a / b).collect())),
            target,
        });
    }

    /// Notes a figure that was measured in another way.
    pub(crate) fn note(
        &mut self,
        name: &str,
        ours: String,
        peer: String,
        ratio: Option<f64>,
        target: &'static str,
    ) {
        self.rows.push(Row {
            name: name.to_owned(),
            ours,
            peer,
            ratio,
            target,
        });
    }

    pub(crate) fn print(&self) {
        println!(
            "\n{:<58} {:>12} {:>12} {:>7}  target",
            "figure", "ours", "peer", "ratio"
        );
        for row in &self.rows {
            let ratio = row
                .ratio
                .map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
            let missed = row.ratio.is_some_and(|ratio| missed(ratio, row.target));
            println!(
                "{:<58} {:>12} {:>12} {ratio:>7}  {}{}",
                row.name,
                row.ours,
                row.peer,
                row.target,
                if missed { ", missed" } else { "" },
            );
        }
        println!("\nmeasured in {} seconds", self.begun.elapsed().as_secs());
    }
}
