//! Which change of a metric is worth a word, a look, or a stop: the requirement's §9.1, and for the
//! categories that it does not name those of the category that they are like.

use super::Metric;

/// How large a change for the worse has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// How changes are counted.
    pub scale: Scale,
    /// Worth a word, without a test; none where a test finds what is.
    pub notice: Option<f64>,
    /// Worth a look.
    pub alert: f64,
    /// Ends the build.
    pub block: f64,
}

/// How a change is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// As a share of the value before: 0.1 is 10 %.
    Share,
    /// As a difference in the metric's unit.
    Points,
}

/// What a value is compared by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// By numbers that vary from block to block, tested against chance.
    Tested(Thresholds),
    /// By numbers that do not vary: each difference is one.
    Exact(Thresholds),
    /// By whether it meets its target: 0 if it does, 1 if not.
    Target,
}

/// To leave a target ends the build.
const LEAVING: Thresholds = Thresholds {
    scale: Scale::Points,
    notice: None,
    alert: 1.0,
    block: 1.0,
};

impl Change {
    /// The thresholds of values of which each difference is one.
    pub fn exact(self) -> Option<Thresholds> {
        match self {
            Change::Exact(thresholds) => Some(thresholds),
            Change::Target => Some(LEAVING),
            Change::Tested(_) => None,
        }
    }
}

impl Metric {
    /// Whether more of it is better.
    pub fn more_is_better(&self) -> bool {
        self.category() == "throughput"
    }

    /// What counts as a change of it.
    pub fn change(&self) -> Change {
        let share = |alert, block| Thresholds {
            scale: Scale::Share,
            notice: None,
            alert,
            block,
        };
        let points = |alert, block| Thresholds {
            scale: Scale::Points,
            notice: None,
            alert,
            block,
        };
        match self.name {
            "binary/size" | "binary/docker_image_compressed" => Change::Exact(Thresholds {
                notice: Some(0.005),
                ..share(0.05, 0.10)
            }),
            // One layer more is worth a look; the requirement allows five.
            "binary/docker_layers" => Change::Exact(points(1.0, f64::INFINITY)),
            "binary/docker_base" | "binary/multi_arch" => Change::Target,
            "overhead/percent_p50" => Change::Tested(points(2.0, 5.0)),
            "cpu/idle_percent" => Change::Tested(points(0.2, 0.5)),
            _ => match self.category() {
                "memory" => Change::Tested(share(0.15, 0.50)),
                "instructions" => Change::Exact(Thresholds {
                    notice: Some(0.003),
                    ..share(0.01, 0.05)
                }),
                _ => Change::Tested(share(0.10, 0.25)),
            },
        }
    }
}
