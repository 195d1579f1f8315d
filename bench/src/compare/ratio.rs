//! The statistic of a comparison: the geometric mean of ratios, pair by pair, and its 95 % interval by Student's t on the
//! logarithms. One pair has no interval. A figure that is nothing (CPU time below one tick) has no ratio.

use super::results::{Figures, Interval95};

/// Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom; beyond, that of the normal distribution.
const T_975: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];
const NORMAL_975: f64 = 1.960;

/// The interval of positive numbers; none if there are none. Of a single one all three bounds are itself.
pub fn interval(values: &[f64]) -> Option<Interval95> {
    let logarithms: Vec<f64> = values.iter().filter(|value| **value > 0.0).map(|value| value.ln()).collect();
    if logarithms.is_empty() {
        return None;
    }
    let count = logarithms.len() as f64;
    let mean = logarithms.iter().sum::<f64>() / count;
    let half = if logarithms.len() < 2 { 0.0 } else { quantile(logarithms.len() - 1) * error_of(&logarithms, mean) };
    let pairs = u32::try_from(logarithms.len()).unwrap_or(u32::MAX);
    Some(Interval95 { low: (mean - half).exp(), middle: mean.exp(), high: (mean + half).exp(), pairs })
}

/// The standard error of a mean.
fn error_of(values: &[f64], mean: f64) -> f64 {
    let count = values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (count - 1.0)).sqrt() / count.sqrt()
}

fn quantile(freedom: usize) -> f64 {
    T_975.get(freedom - 1).copied().unwrap_or(NORMAL_975)
}

/// A figure of run i of one side, divided by that of run i of the other.
pub fn ratios(mine: &[Figures], theirs: &[Figures], key: &str) -> Vec<f64> {
    let pair = |(mine, theirs): (&Figures, &Figures)| Some(mine.get(key)? / theirs.get(key).filter(|it| **it > 0.0)?);
    mine.iter().zip(theirs).filter_map(pair).filter(|ratio| *ratio > 0.0).collect()
}

/// A figure of every run that has it.
pub fn values(runs: &[Figures], key: &str) -> Vec<f64> {
    runs.iter().filter_map(|run| run.get(key).copied()).collect()
}

impl Interval95 {
    /// Whether it lies at or below a bound; none if it does not show it.
    pub fn at_most(&self, bound: f64) -> Option<bool> {
        self.shows(self.high <= bound, self.low > bound)
    }

    /// Whether it lies at or above a bound; none if it does not show it.
    pub fn at_least(&self, bound: f64) -> Option<bool> {
        self.shows(self.low >= bound, self.high < bound)
    }

    fn shows(&self, held: bool, missed: bool) -> Option<bool> {
        let known = self.pairs > 1;
        if known && held {
            Some(true)
        } else if known && missed {
            Some(false)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(values: &[f64]) -> Vec<Figures> {
        values.iter().map(|value| Figures::from([("cpu".to_owned(), *value)])).collect()
    }

    fn near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-3, "{found} is not {expected}");
    }

    #[test]
    fn an_interval_is_that_of_students_t_on_logarithms() {
        // ln: mean 0, standard deviation 0.1, so half the width is 3.182 * 0.1 / 2.
        let spread = 0.1 * (3.0_f64 / 4.0).sqrt();
        let values = [spread.exp(), (-spread).exp(), spread.exp(), (-spread).exp()];
        let found = interval(&values).unwrap();
        near(found.middle, 1.0);
        near(found.high, (3.182_f64 * 0.1 / 2.0).exp());
        near(found.low, (-3.182_f64 * 0.1 / 2.0).exp());
        assert_eq!(found.pairs, 4);
    }

    #[test]
    fn one_pair_shows_nothing() {
        let one = interval(&[0.1]).unwrap();
        assert_eq!((one.low, one.high), (one.middle, one.middle));
        assert_eq!((one.at_most(0.2), one.at_most(0.05), one.at_least(0.05)), (None, None, None));
        assert_eq!(interval(&[]), None);
    }

    #[test]
    fn a_bound_inside_the_interval_is_not_shown() {
        let found = Interval95 { low: 0.15, middle: 0.2, high: 0.25, pairs: 7 };
        assert_eq!((found.at_most(0.25), found.at_most(0.2), found.at_most(0.14)), (Some(true), None, Some(false)));
        assert_eq!((found.at_least(0.15), found.at_least(0.2), found.at_least(0.26)), (Some(true), None, Some(false)));
    }

    #[test]
    fn runs_are_paired_by_their_place() {
        let (mut mine, theirs) = (runs(&[1.0, 2.0, 3.0]), runs(&[2.0, 8.0, 0.0]));
        assert_eq!(ratios(&mine, &theirs, "cpu"), [0.5, 0.25]);
        mine[0].clear();
        assert_eq!(ratios(&mine, &theirs, "cpu"), [0.25]);
        assert_eq!(values(&mine, "cpu"), [2.0, 3.0]);
    }
}
