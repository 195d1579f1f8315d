//! Plots as SVG: percentiles over a logarithmic axis, and series over time.
//!
//! Each plot is drawn twice, for wide and for narrow windows; the page's style shows one of them, and gives its colours.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::Error;
use crate::show::figures::number;

/// Lines of one plot; more could not be told apart.
pub const LINES_MAX: usize = 4;
const COLORS: [RGBColor; LINES_MAX] =
    [RGBColor(0x16, 0x64, 0xc0), RGBColor(0xc2, 0x57, 0x0c), RGBColor(0x1a, 0x7f, 0x4b), RGBColor(0x8a, 0x3a, 0xb9)];
/// Of what is no measured line: the style draws it dotted.
const MARK: RGBColor = RGBColor(0x5c, 0x66, 0x75);
const AXIS: RGBColor = RGBColor(0x33, 0x33, 0x33);
const GRID: RGBColor = RGBColor(0xcc, 0xcc, 0xcc);
/// Labels of the x axis at most. With ten, a logarithmic axis of one power of ten would have one for each of its
/// tenths, and the last of them would stand on one another.
const X_LABELS: usize = 9;
/// Pixels, and the class that shows them.
const SIZES: [(u32, u32, &str); 2] = [(1_000, 340, "wide"), (420, 300, "narrow")];

/// A named line; where nothing was measured it has a gap, and goes on as another piece.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub pieces: Vec<Vec<(f64, f64)>>,
}

impl Line {
    /// Of points in order, without those that are not there.
    pub fn new(name: &str, points: impl IntoIterator<Item = (f64, Option<f64>)>) -> Line {
        let mut pieces = vec![Vec::new()];
        for (x, y) in points {
            match y {
                Some(y) => pieces.last_mut().expect("there is a first").push((x, y)),
                None => pieces.push(Vec::new()),
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        Line { name: name.to_owned(), pieces }
    }

    fn points(&self) -> impl Iterator<Item = &(f64, f64)> {
        self.pieces.iter().flatten()
    }
}

/// The axes of a plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Over quantiles, evenly for 1/(1 - quantile), as HdrHistogram plots them; both axes are logarithmic.
    Percentiles,
    /// Over seconds.
    Time,
    /// Over seconds, where the values reach over powers of ten.
    LogTime,
}

pub struct Plot {
    pub kind: Kind,
    /// Of the values.
    pub unit: &'static str,
    pub lines: Vec<Line>,
    /// A second from which on was measured.
    pub mark: Option<f64>,
    pub caption: String,
}

impl Plot {
    /// With its key and caption; nothing if nothing was measured.
    pub fn figure(&self) -> Result<String, Error> {
        if self.lines.iter().all(|line| line.pieces.is_empty()) {
            return Ok(String::new());
        }
        let mut out = "<figure>\n<div class=\"key\">".to_owned();
        for (at, line) in self.lines.iter().enumerate() {
            out += &format!("<span><i class=\"c{}\"></i>{}</span>", at % LINES_MAX, super::escaped(&line.name));
        }
        out += &format!("<span class=\"dim\">{}</span></div>\n", self.unit);
        for (width, height, class) in SIZES {
            let svg =
                self.svg(width, height).map_err(|why| Error::Process { what: "a plot".to_owned(), reason: why })?;
            let named =
                format!("<svg class=\"{class}\" role=\"img\" aria-label=\"{}\" ", super::escaped(&self.caption));
            out += &svg.replacen("<svg ", &named, 1);
        }
        Ok(out + &format!("<figcaption>{}</figcaption>\n</figure>\n", super::escaped(&self.caption)))
    }

    fn svg(&self, width: u32, height: u32) -> Result<String, String> {
        let mut out = String::new();
        {
            let root = SVGBackend::with_string(&mut out, (width, height)).into_drawing_area();
            let drawn = match self.kind {
                Kind::Percentiles => {
                    let (x, y) = (self.reach(|point| point.0), self.reach(|point| point.1));
                    let end = x.end.max(2.0);
                    self.draw(&root, (1.0..end).log_scale(), decades(&y).log_scale(), &percentile, width)
                }
                Kind::Time => {
                    let (x, y) = (self.reach(|point| point.0), self.reach(|point| point.1));
                    let top = if y.end > 0.0 { y.end * 1.08 } else { 1.0 };
                    self.draw(&root, 0.0..x.end.max(1.0), 0.0..top, &tick, width)
                }
                Kind::LogTime => {
                    let (x, y) = (self.reach(|point| point.0), self.reach(|point| point.1));
                    self.draw(&root, 0.0..x.end.max(1.0), decades(&y).log_scale(), &tick, width)
                }
            };
            drawn.and_then(|()| root.present()).map_err(|error| error.to_string())?;
        }
        Ok(out)
    }

    fn reach(&self, of: impl Fn(&(f64, f64)) -> f64) -> Range<f64> {
        let values = self.lines.iter().flat_map(Line::points).map(of);
        values.fold(f64::MAX..f64::MIN, |reach, value| reach.start.min(value)..reach.end.max(value))
    }

    fn draw<'a, X, Y>(
        &self,
        root: &DrawingArea<SVGBackend<'a>, Shift>,
        x: impl AsRangedCoord<CoordDescType = X, Value = f64>,
        y: impl AsRangedCoord<CoordDescType = Y, Value = f64>,
        x_label: &dyn Fn(&f64) -> String,
        width: u32,
    ) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>
    where
        X: Ranged<ValueType = f64> + ValueFormatter<f64>,
        Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(root)
            .margin(6)
            .margin_right(24)
            .x_label_area_size(26)
            .y_label_area_size(54)
            .build_cartesian_2d(x, y)?;
        let y_range = chart.as_coord_spec().get_y_range();
        chart
            .configure_mesh()
            .axis_style(AXIS)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(("sans-serif", 15).into_font().color(&AXIS))
            .x_labels(if width > 600 { X_LABELS } else { X_LABELS / 2 })
            .y_labels(6)
            .x_label_formatter(x_label)
            .y_label_formatter(&tick)
            .draw()?;
        if let Some(at) = self.mark {
            let (foot, top) = (y_range.start, y_range.end);
            chart.draw_series([PathElement::new([(at, foot), (at, top)], MARK)])?;
        }
        for (line, color) in self.lines.iter().zip(COLORS.iter().cycle()) {
            for piece in &line.pieces {
                chart.draw_series(LineSeries::new(piece.iter().copied(), color.stroke_width(2)))?;
            }
        }
        Ok(())
    }
}

/// From the power of ten below to a little above.
fn decades(reach: &Range<f64>) -> Range<f64> {
    let start = 10_f64.powf(reach.start.max(1e-6).log10().floor());
    start..(reach.end * 1.2).max(start * 10.0)
}

/// A figure without digits that tell nothing.
fn tick(value: &f64) -> String {
    let text = number(*value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The quantile behind 1/(1 - quantile), in percent.
fn percentile(x: &f64) -> String {
    let decimals = (x.log10() - 2.0 + 1e-9).floor().max(0.0) as usize;
    format!("{:.decimals$} %", 100.0 * (1.0 - 1.0 / x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_gaps_where_nothing_was_measured() {
        let line = Line::new("p50", [(0.0, Some(1.0)), (1.0, None), (2.0, Some(3.0)), (3.0, Some(4.0)), (4.0, None)]);
        assert_eq!(line.pieces, [vec![(0.0, 1.0)], vec![(2.0, 3.0), (3.0, 4.0)]]);
    }

    #[test]
    fn axes_have_labels_that_people_know() {
        assert_eq!(
            [1.0, 2.0, 10.0, 100.0, 1_000.0, 10_000.0].map(|x| percentile(&x)),
            ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]
        );
        assert_eq!(
            [0.0, 0.05, 0.5, 2.0, 10.0, 20_000.0].map(|value| tick(&value)),
            ["0", "0.05", "0.5", "2", "10", "20,000"]
        );
        assert_eq!(decades(&(0.6..0.7)), 0.1..1.0);
        assert_eq!(decades(&(2.0..500.0)), 1.0..600.0);
    }

    #[test]
    fn a_plot_has_its_lines_and_its_colours() {
        let line = Line::new("a<b", (0..10).map(|at| (f64::from(at), Some(f64::from(at * at)))));
        let plot = |kind, lines| Plot { kind, unit: "ms", lines, mark: Some(5.0), caption: "c".to_owned() };
        let svg = plot(Kind::Time, vec![line.clone(), line]).figure().unwrap();
        assert_eq!(svg.matches("<svg ").count(), 2);
        assert_eq!(svg.matches("stroke=\"#1664C0\"").count(), 2, "one line in each size");
        assert!(
            svg.contains("stroke=\"#1664C0\"")
                && svg.contains("stroke=\"#C2570C\"")
                && svg.contains("stroke=\"#5C6675\"")
        );
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"));
        assert_eq!(plot(Kind::LogTime, vec![Line::new("none", [(0.0, None)])]).figure().unwrap(), "");
    }
}
