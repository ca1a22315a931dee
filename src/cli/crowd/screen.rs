//! The display of the figures: bars on a terminal, else a line of the log now and then.

use core::time::Duration;
use std::io::{self, IsTerminal, Write};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use onsale::config::LogConfig;
use onsale::telemetry::{self, TelemetryError};
use tokio::time::Instant;

use super::tally::{Figures, grouped};

/// How often the figures are logged.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Where the figures are shown.
#[derive(Debug, Clone)]
pub(super) enum Screen {
    /// On a terminal.
    Bars(MultiProgress),
    /// In the log.
    Lines,
}

impl Screen {
    pub(super) fn new() -> Self {
        if io::stderr().is_terminal() { Self::Bars(MultiProgress::new()) } else { Self::Lines }
    }

    /// Sets up the logs so that log lines and bars don't overwrite each other.
    pub(super) fn init_logs(&self, log: &LogConfig) -> Result<(), TelemetryError> {
        match self {
            Self::Bars(bars) => {
                let bars = bars.clone();
                telemetry::init_logs_to(log, move || AboveBars(bars.clone()))
            }
            Self::Lines => telemetry::init_logs(log),
        }
    }
}

/// Writes log lines above the bars.
struct AboveBars(MultiProgress);

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// The figures on the screen.
pub(super) enum Board {
    Bars(Box<Bars>),
    /// When the last line was written.
    Lines(Option<Instant>),
}

impl Board {
    pub(super) fn on(screen: &Screen) -> Self {
        match screen {
            Screen::Bars(bars) => Self::Bars(Box::new(Bars::on(bars.clone()))),
            Screen::Lines => Self::Lines(None),
        }
    }

    pub(super) fn show(&mut self, figures: &Figures, now: Instant) {
        match self {
            Self::Bars(bars) => bars.show(figures),
            Self::Lines(last) => {
                if last.is_none_or(|last| now - last >= LINE_EVERY) {
                    *last = Some(now);
                    line(figures);
                }
            }
        }
    }

    /// Clears the bars, so that the summary takes their place.
    pub(super) fn end(self) {
        match self {
            // A terminal that can't be cleared shows no summary either.
            Self::Bars(bars) => drop(bars.all.clear()),
            Self::Lines(_) => {}
        }
    }
}

/// The bars at the foot of a terminal.
pub(super) struct Bars {
    all: MultiProgress,
    waiting: ProgressBar,
    active: ProgressBar,
    held: ProgressBar,
    sold: ProgressBar,
    gone: ProgressBar,
    endings: ProgressBar,
    pace: ProgressBar,
}

impl Bars {
    fn on(all: MultiProgress) -> Self {
        let bar = |name: &'static str, colour: &str| {
            // `wide_msg` cuts a long message: a line that wraps would be drawn again below itself.
            let template = format!("  {{prefix:<10}}{{bar:30.{colour}/dim}} {{wide_msg}}");
            let style =
                ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(0).with_style(style.progress_chars("█▉▊▋▌▍▎▏░")).with_prefix(name);
            all.add(bar)
        };
        let text = |name: &'static str| {
            let style = ProgressStyle::with_template("  {prefix:<10}{wide_msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            all.add(ProgressBar::new(0).with_style(style).with_prefix(name))
        };

        Self {
            waiting: bar("waiting", "yellow"),
            active: bar("at seats", "cyan"),
            held: bar("held", "blue"),
            sold: bar("sold", "green"),
            gone: bar("gone home", "magenta"),
            endings: text(""),
            pace: text("pace"),
            all,
        }
    }

    fn show(&self, figures: &Figures) {
        let put = |bar: &ProgressBar, part: u32, whole: u32, text: String| {
            bar.set_length(u64::from(whole));
            bar.set_position(u64::from(part.min(whole)));
            bar.set_message(text);
        };
        let Figures { fans, to_come, waiting, active, active_max, seats, gone, .. } = figures;
        let all = seats.total();
        let to_come = if *to_come > 0 { format!(", {} to come", grouped(*to_come)) } else { String::new() };
        put(&self.waiting, *waiting, *fans, format!("{} of {}{to_come}", grouped(*waiting), grouped(*fans)));
        put(&self.active, *active, *active_max, format!("{active} of {active_max}"));
        put(&self.held, seats.held, all, format!("{} seats", grouped(seats.held)));
        put(
            &self.sold,
            seats.reserved,
            all,
            format!("{} of {} seats", grouped(seats.reserved), grouped(all)),
        );
        put(&self.gone, *gone, *fans, format!("{} of {}", grouped(*gone), grouped(*fans)));
        self.endings.set_message(figures.endings());
        self.pace.set_message(figures.pace());
    }
}

/// Logs the figures.
fn line(figures: &Figures) {
    if let Some(begins_in) = figures.begins_in {
        let seconds = begins_in.as_secs();
        tracing::info!(fans = figures.fans, seconds, "the crowd is about to come");
        return;
    }
    let (median, longest) = figures.waited.unwrap_or_default();
    tracing::info!(
        waiting = figures.waiting,
        active = figures.active,
        held = figures.seats.held,
        sold = figures.seats.reserved,
        free = figures.seats.available,
        per_minute = figures.per_minute,
        median_wait_seconds = median.as_secs(),
        longest_wait_seconds = longest.as_secs(),
        gone_home = figures.gone,
        fans = figures.fans,
        "the crowd"
    );
}
