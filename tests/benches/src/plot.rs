//! Plots of the figures, as SVG.

use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use crate::Failure;
use crate::way::Way;

/// What both axes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Linear, and from 0.
    Linear,
    /// Logarithmic, and from the lowest point.
    Logarithmic,
}

/// A plot with one line for each way.
#[derive(Debug)]
pub struct Plot<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// What the horizontal axis counts.
    pub across: &'a str,
    /// What the vertical axis counts.
    pub up: &'a str,
    /// What both axes are.
    pub scale: Scale,
    /// The lines, as points from left to right.
    pub lines: Vec<(Way, Vec<(f64, f64)>)>,
}

const SIZE: (u32, u32) = (920, 480);
/// Where the legend begins.
const LEGEND: u32 = 700;
const FONT: &str = "sans-serif";

/// dynalock's ways in blue and green, the SDK's in grey, other crates in red and yellow.
fn color(way: Way) -> RGBColor {
    match way {
        Way::Coalescing => RGBColor(0, 114, 178),
        Way::Queue => RGBColor(86, 180, 233),
        Way::Apart => RGBColor(0, 158, 115),
        Way::FairLoop => RGBColor(90, 90, 90),
        Way::NaiveLoop => RGBColor(170, 170, 170),
        Way::Facade => RGBColor(213, 94, 0),
        Way::Modyne => RGBColor(230, 159, 0),
    }
}

impl Plot<'_> {
    /// Draws it into a file.
    ///
    /// # Errors
    ///
    /// If there is nothing to draw, or no file can be written.
    pub fn draw(&self, path: &Path) -> Result<(), Failure> {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let range = |of: fn(&(f64, f64)) -> f64| {
            points().map(of).fold(None, |range: Option<(f64, f64)>, value| {
                let (low, high) = range.unwrap_or((value, value));
                Some((low.min(value), high.max(value)))
            })
        };
        let (left, right) = range(|(across, _)| *across).ok_or("nothing to draw")?;
        let (low, high) = range(|(_, up)| *up).ok_or("nothing to draw")?;

        let whole = SVGBackend::new(path, SIZE).into_drawing_area();
        whole.fill(&WHITE)?;
        let (area, legend) = whole.split_horizontally(LEGEND);
        match self.scale {
            Scale::Linear => self.draw_chart(&area, 0.0..right, 0.0..high * 1.05)?,
            Scale::Logarithmic => {
                let up = (low / 1.5..high * 1.5).log_scale();
                self.draw_chart(&area, (left..right).log_scale(), up)?;
            }
        }

        // In the order in which the lines end.
        let mut ends: Vec<(Way, f64)> =
            self.lines.iter().filter_map(|(way, points)| Some((*way, points.last()?.1))).collect();
        ends.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        for ((way, _), top) in ends.into_iter().zip((60..).step_by(26)) {
            legend.draw(&PathElement::new([(8, top), (34, top)], color(way).stroke_width(4)))?;
            legend.draw(&Text::new(way.name(), (42, top - 7), (FONT, 15)))?;
        }
        Ok(whole.present()?)
    }

    fn draw_chart<X, Y>(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        across: X,
        up: Y,
    ) -> Result<(), Failure>
    where
        X: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
        Y: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
    {
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, (FONT, 20))
            .margin(12)
            .x_label_area_size(48)
            .y_label_area_size(64)
            .build_cartesian_2d(across, up)?;
        chart
            .configure_mesh()
            .x_desc(self.across)
            .y_desc(self.up)
            .axis_desc_style((FONT, 15))
            .label_style((FONT, 13))
            .light_line_style(WHITE)
            .draw()?;
        for (way, points) in &self.lines {
            let stroke = color(*way).stroke_width(3);
            chart.draw_series(LineSeries::new(points.iter().copied(), stroke))?;
            let dot = |point: &(f64, f64)| Circle::new(*point, 4, color(*way).filled());
            chart.draw_series(points.iter().map(dot))?;
        }
        Ok(())
    }
}
