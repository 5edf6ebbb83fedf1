//! The charts of the page, as SVG. Each colour here is a placeholder for a role: the style sheet of the
//! page replaces it, in light and in dark mode.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::html::escape;

/// The placeholders. `style.css` matches them by these values.
const LINE: RGBColor = RGBColor(1, 1, 1);
const SECOND: RGBColor = RGBColor(2, 2, 2);
const GRID: RGBColor = RGBColor(3, 3, 3);
const TEXT: RGBColor = RGBColor(4, 4, 4);
const CHANGE: RGBColor = RGBColor(5, 5, 5);
const RELEASE: RGBColor = RGBColor(6, 6, 6);
const SIZE: (u32, u32) = (720, 220);
const LABELS: u32 = 13;

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
    /// Formats a value with its unit.
    pub shown: &'a dyn Fn(f64) -> String,
}

/// A line over the jobs.
pub fn trend(trend: &Trend<'_>) -> String {
    let points = trend.values.iter().enumerate();
    let points: Vec<(f64, f64)> = points
        .filter_map(|(job, value)| Some((job as f64, (*value)?)))
        .collect();
    let last = trend.values.len().saturating_sub(1).max(1) as f64;
    let [bottom, top] = range(points.iter().map(|(_, value)| *value));
    drawn(trend.label, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .x_label_area_size(24)
            .y_label_area_size(84)
            .build_cartesian_2d(0.0..last, bottom..top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(6)
            .y_labels(4)
            .x_label_formatter(&|job| format!("{:.0}", job + 1.0))
            .y_label_formatter(&|value| (trend.shown)(*value))
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
    drawn(label, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .x_label_area_size(24)
            .y_label_area_size(84)
            .build_cartesian_2d(left..right, 0.0..3.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .x_labels(7)
            // One at each whole number, of which two have a name.
            .y_labels(4)
            .x_label_formatter(&|share: &f64| match 100.0 * share {
                -0.05..0.05 => "0 %".to_owned(),
                percent => format!("{percent:+.1} %"),
            })
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
            .y_label_area_size(84)
            .build_cartesian_2d(0.0..most, 0.0..(top * 1.05).max(f64::MIN_POSITIVE))?;
        chart
            .configure_mesh()
            .x_labels(5)
            .y_labels(4)
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

    #[test]
    fn a_chart_fits_any_width_and_has_a_name() {
        let values = [Some(2.0), None, Some(2.5), Some(f64::NAN), Some(2.0)];
        let svg = trend(&Trend {
            label: "p50 <over> jobs",
            values: &values,
            changes: &[2],
            releases: &[0],
            shown: &|value| format!("{value} ms"),
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
                shown: &|value| value.to_string(),
            });
            assert!(svg.contains("<svg"), "{values:?}");
            assert!(!svg.contains("NaN"), "{values:?}");
        }
        assert!(differences("x", &[], &[]).contains("<svg"));
        assert!(percentiles("x", &[], &|value| value.to_string()).contains("<svg"));
    }

    #[test]
    fn percentiles_have_the_digits_that_they_need() {
        assert_eq!(
            [short(50.0), short(99.9), short(99.99)],
            ["50", "99.9", "99.99"]
        );
    }
}
