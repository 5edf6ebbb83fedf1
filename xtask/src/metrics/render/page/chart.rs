//! The charts of the page, as SVG. Each colour here is a placeholder for a role: the style sheet of the
//! page replaces it, in light and in dark mode.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::html::escape;
use crate::metrics::render::number;

/// The placeholders. `style.css` matches them by these values.
const LINE: RGBColor = RGBColor(1, 1, 1);
const SECOND: RGBColor = RGBColor(2, 2, 2);
const GRID: RGBColor = RGBColor(3, 3, 3);
const TEXT: RGBColor = RGBColor(4, 4, 4);
const CHANGE: RGBColor = RGBColor(5, 5, 5);
const RELEASE: RGBColor = RGBColor(6, 6, 6);
const SIZE: (u32, u32) = (720, 220);
const LABELS: u32 = 13;
/// Width of a letter of that size, at most, and of the labels left of a chart, at least.
const LETTER: u32 = 8;
const LEFT: u32 = 84;
/// Labels of an axis of values, at most.
const VALUES: usize = 4;
/// The same for an axis of differences.
const DIFFERENCES: usize = 7;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// The values of a metric, one per job.
pub struct Trend<'a> {
    /// Description for readers who cannot see the chart.
    pub label: &'a str,
    /// In the order of the jobs; `None` for a job without a value.
    pub values: &'a [Option<f64>],
    /// Indices of the jobs with which a new level begins.
    pub changes: &'a [usize],
    /// Indices of the jobs of releases.
    pub releases: &'a [usize],
    /// Formats a value with its unit, and with so many more digits than usual.
    pub shown: &'a dyn Fn(f64, usize) -> String,
}

/// A line over the jobs.
pub fn trend(trend: &Trend<'_>) -> String {
    let points = trend.values.iter().enumerate();
    // A job without a value is a gap in the places, and the line goes on across it.
    let points: Vec<(f64, f64)> = points
        .filter_map(|(job, value)| Some((job as f64, (*value)?)))
        .collect();
    let last = trend.values.len().saturating_sub(1).max(1) as f64;
    let [bottom, top] = range(points.iter().map(|(_, value)| *value));
    let labels = Labels::of(bottom..top, VALUES, trend.shown);
    drawn(trend.label, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .x_label_area_size(24)
            .y_label_area_size(labels.width)
            .build_cartesian_2d(0.0..last, bottom..top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(6)
            .y_labels(VALUES)
            // With few jobs, some places are between two of them.
            .x_label_formatter(&|job| {
                let is_job = (job - job.round()).abs() < 1e-6;
                if is_job {
                    format!("{:.0}", job + 1.0)
                } else {
                    String::new()
                }
            })
            .y_label_formatter(&|value| (trend.shown)(*value, labels.extra))
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(GRID)
            .label_style(("sans-serif", LABELS).into_font().color(&TEXT))
            .draw()?;
        for (jobs, colour) in [(trend.releases, RELEASE), (trend.changes, CHANGE)] {
            chart.draw_series(jobs.iter().map(|job| {
                let job = *job as f64;
                PathElement::new(vec![(job, bottom), (job, top)], colour.stroke_width(1))
            }))?;
        }
        chart.draw_series(LineSeries::new(
            points.iter().copied(),
            LINE.stroke_width(2),
        ))?;
        // With more points, the line alone is clearer.
        if points.len() <= 60 {
            let dots = points.iter().map(|at| Circle::new(*at, 2, LINE.filled()));
            chart.draw_series(dots)?;
        }
        let marked = trend.changes.iter();
        let marked = marked.filter_map(|job| Some((*job as f64, (*trend.values.get(*job)?)?)));
        chart.draw_series(marked.map(|at| TriangleMarker::new(at, 6, CHANGE.filled())))?;
        Ok(())
    })
}

/// The differences of blocks, of the head and of the control, as dots in two rows over one axis.
pub fn differences(label: &str, head: &[f64], control: &[f64]) -> String {
    let all = head.iter().chain(control).copied();
    // Zero, which means no difference, is always visible.
    let [left, right] = range(all.chain([0.0]));
    let labels = Labels::of(left..right, DIFFERENCES, &percent);
    drawn(label, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .x_label_area_size(24)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(left..right, 0.0..3.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .x_labels(DIFFERENCES)
            // One at each whole number, of which two have a name.
            .y_labels(4)
            .x_label_formatter(&|share| percent(*share, labels.extra))
            .y_label_formatter(&|row: &f64| match row {
                0.9..1.1 => "control".to_owned(),
                1.9..2.1 => "head".to_owned(),
                _ => String::new(),
            })
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(GRID)
            .label_style(("sans-serif", LABELS).into_font().color(&TEXT))
            .draw()?;
        let zero = vec![(0.0, 0.0), (0.0, 3.0)];
        chart.draw_series([PathElement::new(zero, TEXT.stroke_width(1))])?;
        for (row, values, colour) in [(2.0, head, LINE), (1.0, control, SECOND)] {
            let dots = values.iter().enumerate().map(|(block, value)| {
                // Spread the dots, so that they do not hide each other.
                let apart = (block % 7) as f64 * 0.1 - 0.3;
                Circle::new((*value, row + apart), 3, colour.filled())
            });
            chart.draw_series(dots)?;
        }
        Ok(())
    })
}

/// Times by percentile. The axis is logarithmic in the share of calls beyond a percentile: p90, p99 and
/// p99.9 are equally far apart.
pub fn percentiles(
    label: &str,
    curves: &[Vec<(f64, f64)>],
    shown: &dyn Fn(f64) -> String,
) -> String {
    let beyond = |percentile: f64| -(1.0 - percentile / 100.0).log10();
    let most = curves
        .iter()
        .flatten()
        .map(|at| beyond(at.0))
        .fold(1.0, f64::max);
    let top = curves.iter().flatten().map(|at| at.1).fold(0.0, f64::max);
    drawn(label, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .x_label_area_size(24)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(0.0..most, 0.0..(top * 1.05).max(f64::MIN_POSITIVE))?;
        chart
            .configure_mesh()
            .x_labels(5)
            .y_labels(VALUES)
            .x_label_formatter(&|nines| format!("p{}", short(100.0 * (1.0 - 10f64.powf(-nines)))))
            .y_label_formatter(&|value| shown(*value))
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(GRID)
            .label_style(("sans-serif", LABELS).into_font().color(&TEXT))
            .draw()?;
        for (curve, colour) in curves.iter().zip([LINE, SECOND]) {
            let points = curve.iter().map(|at| (beyond(at.0), at.1));
            chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        }
        Ok(())
    })
}

/// The digits and the width of the labels of an axis.
#[derive(Debug, Clone, Copy)]
struct Labels {
    /// Digits beyond the usual ones, without which two labels would be the same.
    extra: usize,
    width: u32,
}

impl Labels {
    /// The labels of an axis over `range` that has `most` of them at most.
    fn of(range: Range<f64>, most: usize, shown: &dyn Fn(f64, usize) -> String) -> Labels {
        let places = RangedCoordf64::from(range).key_points(most);
        let texts = |extra: usize| -> Vec<String> {
            places.iter().map(|place| shown(*place, extra)).collect()
        };
        let differ = |extra: &usize| {
            let mut texts = texts(*extra);
            texts.sort_unstable();
            texts.windows(2).all(|pair| pair[0] != pair[1])
        };
        // If no number of digits tells the labels apart, more of them would only make them longer.
        let extra = (0..=number::EXTRA_MAX).find(differ).unwrap_or(0);
        let longest = texts(extra).iter().map(|text| text.chars().count()).max();
        let longest = u32::try_from(longest.unwrap_or(0)).unwrap_or(0);
        Labels {
            extra,
            width: LEFT.max(LETTER * longest),
        }
    }
}

/// A share as a signed number of percent, with one decimal and `extra` more.
fn percent(share: f64, extra: usize) -> String {
    let decimals = 1 + extra;
    let text = format!("{:+.decimals$}", 100.0 * share);
    let is_zero = text.parse().is_ok_and(|percent: f64| percent == 0.0);
    if is_zero {
        "0 %".to_owned()
    } else {
        format!("{text} %")
    }
}

/// A percentile without trailing zeros: 50, 99.9.
fn short(percentile: f64) -> String {
    let text = format!("{percentile:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The least and the greatest value, with room on either side.
fn range(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let ends =
        values
            .filter(|value| value.is_finite())
            .fold(None, |ends: Option<[f64; 2]>, value| {
                let [least, most] = ends.unwrap_or([value, value]);
                Some([least.min(value), most.max(value)])
            });
    let [least, most] = ends.unwrap_or([0.0, 1.0]);
    let room = match (most - least) * 0.08 {
        room if room > 0.0 => room,
        // All values are the same: keep the line in the middle.
        _ => (most.abs() * 0.1).max(1e-9),
    };
    [least - room, most + room]
}

/// Draws an SVG that fits any width, with `label` as its description.
fn drawn(label: &str, draw: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut svg = String::new();
    let result = {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area).and_then(|()| area.present())
    };
    // Drawing into a string does not fail.
    if result.is_err() {
        return String::new();
    }
    let (width, height) = SIZE;
    let sized = format!("<svg width=\"{width}\" height=\"{height}\"");
    let named = format!("<svg role=\"img\" aria-label=\"{}\"", escape(label));
    let svg = svg.replacen(&sized, &named, 1);
    // On a narrow screen a chart scrolls: its letters would be too small to read.
    format!("<div class=\"chart\">{svg}</div>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::Unit;

    #[test]
    fn a_chart_fits_any_width_and_has_a_name() {
        let values = [Some(2.0), None, Some(2.5), Some(f64::NAN), Some(2.0)];
        let svg = trend(&Trend {
            label: "p50 <over> jobs",
            values: &values,
            changes: &[2],
            releases: &[0],
            shown: &|value, _| format!("{value} ms"),
        });
        assert!(
            svg.contains("<svg role=\"img\" aria-label=\"p50 &lt;over&gt; jobs\""),
            "{svg}"
        );
        assert!(svg.contains("viewBox"), "{svg}");
        assert!(!svg.contains("width=\"720\""), "{svg}");
        assert!(svg.contains("#010101") && svg.contains("#050505"), "{svg}");
    }

    #[test]
    fn nothing_and_all_the_same_are_drawn_too() {
        for values in [&[][..], &[Some(1.0)], &[Some(0.0), Some(0.0)]] {
            let svg = trend(&Trend {
                label: "x",
                values,
                changes: &[],
                releases: &[],
                shown: &|value, _| value.to_string(),
            });
            assert!(svg.contains("<svg"), "{values:?}");
            assert!(!svg.contains("NaN"), "{values:?}");
        }
        assert!(differences("x", &[], &[]).contains("<svg"));
        assert!(percentiles("x", &[], &|value| value.to_string()).contains("<svg"));
    }

    /// The texts of a chart, in the order of drawing.
    fn texts(svg: &str) -> Vec<&str> {
        let texts = svg.split("</text>").filter(|text| text.contains("<text"));
        let texts = texts.filter_map(|text| text.rsplit('>').next());
        texts.map(str::trim).collect()
    }

    #[test]
    fn no_axis_has_the_same_label_twice() {
        let of = |values: &[f64], unit: Unit| {
            let scale = number::Scale::of(unit, values[0]);
            let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
            trend(&Trend {
                label: "x",
                values: &values,
                changes: &[],
                releases: &[],
                shown: &|value, extra| scale.finer(value, extra),
            })
        };
        let close = of(&[9_000_000.0, 9_000_400.0, 9_000_200.0], Unit::Bytes);
        let rates = of(&[15_420.0, 15_421.0], Unit::RequestsPerSecond);
        let same = of(&[3.0, 3.0], Unit::Count);
        let far = of(&[2.0, 9.0], Unit::Milliseconds);
        let shares = differences("x", &[0.000_1, 0.000_2], &[0.000_05]);
        let expected = [
            (&close, "9.0002 MB"),
            (&rates, "15,420.5 req/s"),
            (&same, "2.8"),
            (&far, "4.00 ms"),
            (&shares, "+0.015 %"),
        ];
        for (svg, label) in expected {
            let mut texts = texts(svg);
            assert!(texts.contains(&label), "{label} is not in {texts:?}");
            texts.retain(|text| !text.is_empty());
            texts.sort_unstable();
            assert!(texts.windows(2).all(|pair| pair[0] != pair[1]), "{texts:?}");
        }
    }

    #[test]
    fn percentiles_have_the_digits_that_they_need() {
        assert_eq!(
            [short(50.0), short(99.9), short(99.99)],
            ["50", "99.9", "99.99"]
        );
    }
}
