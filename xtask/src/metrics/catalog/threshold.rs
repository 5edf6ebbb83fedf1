//! The thresholds of changes for NOTICE, ALERT and BLOCK: those of the requirement's §9.1. A category
//! that it does not name has those of a similar one.

use super::Metric;

/// The smallest changes for the worse that get each verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    pub scale: Scale,
    /// For NOTICE, of metrics that need no test; `None` where a test decides.
    pub notice: Option<f64>,
    pub alert: f64,
    /// For BLOCK, which fails the build.
    pub block: f64,
}

/// Unit of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// As a share of the value before: 0.1 is 10 %.
    Share,
    /// As a difference in the metric's unit.
    Points,
}

/// The way in which two values of a metric are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// The values vary from block to block: a statistical test decides whether they differ.
    Tested(Thresholds),
    /// The values do not vary: any difference is real and needs no test.
    Exact(Thresholds),
    /// By whether the target is met: 0 if met, 1 if missed.
    Target,
}

/// A target that was met before and is missed now is a BLOCK.
const LEAVING: Thresholds = Thresholds {
    scale: Scale::Points,
    notice: None,
    alert: 1.0,
    block: 1.0,
};

impl Change {
    /// The thresholds of a metric that needs no test; `None` for a tested one.
    pub fn exact(self) -> Option<Thresholds> {
        match self {
            Change::Exact(thresholds) => Some(thresholds),
            Change::Target => Some(LEAVING),
            Change::Tested(_) => None,
        }
    }
}

impl Metric {
    /// Whether larger values are better.
    pub fn more_is_better(&self) -> bool {
        self.category() == "throughput"
    }

    /// The way in which its values are compared, with the thresholds.
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
        // Names before categories: the exceptions are few, and a new metric gets the values of its category.
        match self.name {
            "binary/size" | "binary/docker_image_compressed" => Change::Exact(Thresholds {
                notice: Some(0.005),
                ..share(0.05, 0.10)
            }),
            // One more layer is an ALERT and never a BLOCK: the requirement allows five.
            "binary/docker_layers" => Change::Exact(points(1.0, f64::INFINITY)),
            "binary/docker_base" | "binary/multi_arch" => Change::Target,
            // Percentages near 0, of which a relative change says little.
            "overhead/percent_p50" => Change::Tested(points(2.0, 5.0)),
            "cpu/idle_percent" => Change::Tested(points(0.2, 0.5)),
            _ => match self.category() {
                "memory" => Change::Tested(share(0.15, 0.50)),
                // Counts of the same program differ by up to 0.2 %, see `judge::paired::exact`.
                "instructions" => Change::Exact(Thresholds {
                    notice: Some(0.003),
                    ..share(0.01, 0.05)
                }),
                _ => Change::Tested(share(0.10, 0.25)),
            },
        }
    }
}
