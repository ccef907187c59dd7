//! The report as a picture (SVG): a panel for each op with a dot for each case, above how many
//! times faster the fork is than stock, below how many times longer it takes than a plain read
//! of the same bytes. Both axes are logarithmic; whiskers are 95 % intervals.

use std::fmt::Write;

use super::case::{FLOATS, OPS, Op};
use super::report::{CaseReport, Numbers, Report};
use super::stats::Estimate;

const LABELS: f64 = 205.0;
const PANEL: f64 = 300.0;
/// Room for a number to the right of the last dot.
const NUMBER: f64 = 36.0;
const GAP: f64 = 26.0;
const ROW: f64 = 36.0;
const HEAD: f64 = 104.0;
const BAND_HEAD: f64 = 64.0;
const BAND_FOOT: f64 = 42.0;

/// Colours that most people can tell apart (Okabe and Ito), one a type.
const COLOURS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];
const INK: &str = "#222";
const PALE: &str = "#777";

/// A picture's upper and lower half: what is shown of a case, and against what.
struct Band {
    title: &'static str,
    unit: &'static str,
    one: &'static str,
    value: fn(&Numbers) -> Estimate,
    /// The part of the axis around 1 that the noise explains, where it matters.
    floor: fn(&Numbers) -> Option<f64>,
}

const BANDS: [Band; 2] = [
    Band {
        title: "Times faster than stock",
        unit: "×",
        one: "as fast as stock",
        value: |n| n.judgement.ratio,
        floor: |n| Some(n.judgement.floor),
    },
    Band {
        title: "Time against a plain read of the same weights",
        unit: "×",
        one: "the memory's speed",
        value: |n| n.of_read,
        floor: |_| None,
    },
];

/// The picture.
pub fn svg(report: &Report) -> String {
    let mut rows: Vec<(&str, usize)> = Vec::new();
    for case in &report.cases {
        if !rows.contains(&(case.model, case.tokens)) {
            rows.push((case.model, case.tokens));
        }
    }
    rows.sort_by_key(|row| rows_model(report, row.0));
    let ops: Vec<Op> = OPS
        .into_iter()
        .filter(|op| report.cases.iter().any(|case| case.op == *op))
        .collect();
    let height = ROW * rows.len() as f64;
    let band = BAND_HEAD + height + BAND_FOOT;
    let width = (LABELS + ops.len() as f64 * (PANEL + GAP)).max(760.0);
    let total = HEAD + 2.0 * band;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {total}\" \
         width=\"{width}\" height=\"{total}\" font-family=\"system-ui, 'DejaVu Sans', Helvetica, \
         Arial, sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
         <rect width=\"{width}\" height=\"{total}\" fill=\"#fff\"/>\n"
    );
    head(&mut out, report);
    for (number, what) in BANDS.iter().enumerate() {
        let top = HEAD + number as f64 * band;
        text(
            &mut out,
            (16.0, top + 22.0),
            "font-size=\"15\" font-weight=\"600\"",
            what.title,
        );
        let axis = Axis::over(report, what.value);
        row_labels(&mut out, &rows, top + BAND_HEAD, width);
        for (column, op) in ops.iter().enumerate() {
            let panel = Panel {
                left: LABELS + column as f64 * (PANEL + GAP),
                top: top + BAND_HEAD,
                height,
                axis,
            };
            panel.frame(&mut out, *op, what);
            for case in report.cases.iter().filter(|case| case.op == *op) {
                if let Some(row) = rows.iter().position(|r| *r == (case.model, case.tokens)) {
                    panel.dot(&mut out, case, row, what);
                }
            }
        }
    }
    out + "</svg>\n"
}

/// The place of a model among the models: its tokens stay together.
fn rows_model(report: &Report, model: &str) -> Option<usize> {
    report.cases.iter().position(|case| case.model == model)
}

fn head(out: &mut String, report: &Report) {
    let fork = report.fork_id.get(..12).unwrap_or(&report.fork_id);
    let simd = report.simd.as_deref().unwrap_or("no choice of kernels");
    let speed = report
        .read_gb_per_s
        .map_or(String::new(), |speed| format!(", memory {speed:.1} GB/s"));
    let weights = match report.hot {
        true => "the same experts in every call",
        false => "experts rotate",
    };
    let bold = "font-size=\"19\" font-weight=\"700\"";
    text(
        out,
        (16.0, 30.0),
        bold,
        "MLX on the CPU: the fork against stock",
    );
    let machine = &report.machine;
    text(
        out,
        (16.0, 51.0),
        &format!("fill=\"{PALE}\""),
        &format!(
            "{}, {} threads, {simd}{speed} · fork {fork} · {weights}, seed {}",
            machine.cpu, report.threads, report.seed
        ),
    );
    let mut x = 16.0;
    for (float, colour) in FLOATS.iter().zip(COLOURS) {
        let _ = writeln!(
            out,
            "<circle cx=\"{}\" cy=\"76\" r=\"4.5\" fill=\"{colour}\"/>",
            x + 5.0
        );
        text(out, (x + 15.0, 80.0), "", float.name());
        x += 62.0;
    }
    text(
        out,
        (x + 6.0, 80.0),
        &format!("fill=\"{PALE}\""),
        "hollow: no difference beyond the noise (grey) · whiskers: 95 % · medians of whole calls",
    );
}

fn row_labels(out: &mut String, rows: &[(&str, usize)], top: f64, width: f64) {
    for (number, (model, tokens)) in rows.iter().enumerate() {
        let y = top + ROW * number as f64;
        let first = number == 0 || rows[number - 1].0 != *model;
        if first {
            let _ = writeln!(
                out,
                "<line x1=\"16\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"#bbb\"/>",
                width - GAP
            );
            text(out, (16.0, y + 22.0), "font-weight=\"600\"", model);
        }
        let plural = if *tokens == 1 { "" } else { "s" };
        text(
            out,
            (LABELS - 10.0, y + 22.0),
            &format!("text-anchor=\"end\" fill=\"{PALE}\""),
            &format!("{tokens} token{plural}"),
        );
    }
}

/// A logarithmic axis.
#[derive(Debug, Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    /// Holds 1 and all values.
    fn over(report: &Report, value: fn(&Numbers) -> Estimate) -> Self {
        let numbers = report.cases.iter().filter_map(|case| case.numbers.as_ref());
        let (low, high) = numbers.fold((1.0f64, 1.0f64), |(low, high), n| {
            let e = value(n);
            (low.min(e.low).min(e.value), high.max(e.high).max(e.value))
        });
        Axis {
            low: low / 1.15,
            high: (high * 1.05).max(2.0),
        }
    }

    fn place(self, value: f64) -> f64 {
        (value / self.low).ln() / (self.high / self.low).ln()
    }

    /// 1, 10, 100 …, with 2 and 5 between them where the axis is short.
    fn ticks(self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let steps: &[f64] = match decades {
            d if d < 0.8 => &[1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            d if d < 2.2 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        (-6..=9)
            .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)))
            .filter(|tick| (self.low..=self.high).contains(tick))
            .collect()
    }
}

struct Panel {
    left: f64,
    top: f64,
    height: f64,
    axis: Axis,
}

impl Panel {
    fn x(&self, value: f64) -> f64 {
        let value = value.clamp(self.axis.low, self.axis.high);
        self.left + (PANEL - NUMBER) * self.axis.place(value)
    }

    fn frame(&self, out: &mut String, op: Op, band: &Band) {
        let (left, top, bottom) = (self.left, self.top, self.top + self.height);
        text(out, (left, top - 24.0), "font-weight=\"600\"", op.name());
        for tick in self.axis.ticks() {
            let x = self.x(tick);
            let (colour, wide) = match tick == 1.0 {
                true => ("#444", 1.5),
                false => ("#ddd", 1.0),
            };
            let _ = writeln!(
                out,
                "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\" \
                 stroke=\"{colour}\" stroke-width=\"{wide}\"/>"
            );
            text(
                out,
                (x, bottom + 15.0),
                &format!("text-anchor=\"middle\" font-size=\"11\" fill=\"{PALE}\""),
                &format!("{}{}", short(tick), band.unit),
            );
        }
        let one = self.x(1.0);
        let anchor = match one < left + PANEL / 2.0 {
            true => "start",
            false => "end",
        };
        text(
            out,
            (one, top - 6.0),
            &format!("text-anchor=\"{anchor}\" font-size=\"10\" fill=\"{PALE}\""),
            band.one,
        );
    }

    fn dot(&self, out: &mut String, case: &CaseReport, row: usize, band: &Band) {
        let place = FLOATS.iter().position(|float| float.name() == case.float);
        let place = place.unwrap_or(0);
        let colour = COLOURS[place];
        let y = self.top + ROW * (row as f64 + 0.5) + 10.0 * (place as f64 - 1.0);
        let Some(numbers) = &case.numbers else {
            text(
                out,
                (self.left + PANEL, y + 3.5),
                "text-anchor=\"end\" font-size=\"10\" fill=\"#b00\"",
                &format!("{} not measured", case.float),
            );
            return;
        };
        let e = (band.value)(numbers);
        let hollow = (band.floor)(numbers).is_some_and(|floor| {
            let _ = writeln!(
                out,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"7\" fill=\"#999\" \
                 fill-opacity=\"0.35\"/>",
                self.x(1.0 / floor),
                y - 3.5,
                self.x(floor) - self.x(1.0 / floor)
            );
            numbers.judgement.verdict == super::judge::Verdict::NoDifference
        });
        let x = self.x(e.value);
        // Without an interval there is a point.
        let (low, high, ends) = match e.low.is_nan() {
            true => (x, x, String::new()),
            false => (
                self.x(e.low),
                self.x(e.high),
                format!(" [{}, {}]", short(e.low), short(e.high)),
            ),
        };
        let _ = writeln!(
            out,
            "<g stroke=\"{colour}\"><title>{}</title>\
             <line x1=\"{low:.1}\" y1=\"{y:.1}\" x2=\"{high:.1}\" y2=\"{y:.1}\" \
             stroke-width=\"2\"/><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.6\" \
             stroke-width=\"1.5\" fill=\"{}\"/></g>",
            escaped(&format!(
                "{}: {}{}{ends}",
                case.name,
                short(e.value),
                band.unit,
            )),
            if hollow { "#fff" } else { colour },
        );
        text(
            out,
            (high.max(x) + 7.0, y + 3.3),
            &format!("font-size=\"9.5\" fill=\"{colour}\""),
            &short(e.value),
        );
    }
}

/// Three digits, without an exponent.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

fn text(out: &mut String, (x, y): (f64, f64), attributes: &str, text: &str) {
    let text = escaped(text);
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{text}</text>"
    );
}

fn escaped(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .map(|c| match c {
            '&' => "&amp;".into(),
            '<' => "&lt;".into(),
            '>' => "&gt;".into(),
            other => other.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.9512, 1.0, 1.40, 12.34, 271.8, 1130.4].map(short);
        assert_eq!(shown, ["0.95", "1", "1.4", "12.3", "272", "1130"]);
    }

    #[test]
    fn what_xml_reserves_is_escaped() {
        assert_eq!(escaped("a<b>&\u{1}c"), "a&lt;b&gt;&amp;c");
    }

    #[test]
    fn an_axis_has_ticks_at_every_length() {
        for (low, high) in [(0.9, 1.6), (0.8, 60.0), (0.8, 1500.0)] {
            let ticks = Axis { low, high }.ticks();
            assert!((2..12).contains(&ticks.len()), "{low} {high}: {ticks:?}");
            assert!(ticks.contains(&1.0));
        }
    }
}
