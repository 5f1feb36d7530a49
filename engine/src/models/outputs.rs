//! Which leaves of an ensemble a score is the sum of, and what is made of the sum: classes and targets, bases and
//! transforms. Where the specification is silent and runtimes differ, the model is refused.

use super::attributes::Attributes;
use crate::error::Error;
use std::collections::HashSet;

/// The sum that the score is made of.
pub(super) struct Column {
    /// Prefix of the leaves' attributes.
    pub prefix: &'static str,
    /// What a leaf's weight counts, by the class or target it is for.
    pub factors: Vec<f64>,
    pub base: f64,
    pub is_complement: bool,
    pub is_logistic: bool,
    pub is_average: bool,
}

fn one_of(attributes: Attributes<'_>, class: Option<u16>, count: usize, what: &str) -> Result<usize, Error> {
    match class.map(usize::from) {
        Some(class) if class < count => Ok(class),
        Some(class) => Err(attributes.refuse(format!("class is {class}, the model has {count} {what}"))),
        None if count <= 2 => Ok(count - 1),
        None => Err(attributes.refuse(format!("class is missing: the model has {count} {what}"))),
    }
}

fn unknown_transform(attributes: Attributes<'_>, transform: &str, of: &str) -> Error {
    attributes.refuse(format!("post_transform {transform} over {of} is not supported"))
}

/// What a classifier's score is the sum of.
pub(super) fn classifier(attributes: Attributes<'_>, class: Option<u16>) -> Result<Column, Error> {
    let labels =
        attributes.ints("classlabels_int64s").len().max(attributes.words("classlabels_strings").len());
    if !(2..=1024).contains(&labels) {
        return Err(attributes.refuse(format!("{labels} classes, limit 2 to 1024")));
    }
    let class = one_of(attributes, class, labels, "classes")?;
    let weights = attributes.numbers("class_weights")?;
    let base = attributes.numbers("base_values")?;
    let used: HashSet<i64> = attributes.ints("class_ids").iter().copied().collect();
    let transform = attributes.word("post_transform");
    let mut column = Column {
        prefix: "class",
        factors: vec![0.0; labels],
        base: 0.0,
        is_complement: false,
        is_logistic: transform == "LOGISTIC",
        is_average: false,
    };
    if labels == 2 && used.len() == 1 {
        let is_negative = weights.iter().any(|weight| *weight < 0.0);
        return one_column(attributes, class, &base, is_negative, column);
    }
    if !(base.is_empty() || base.len() == labels) {
        return Err(attributes.refuse(format!("{} base_values for {labels} classes", base.len())));
    }
    let base = |class: usize| base.get(class).copied().unwrap_or(0.0);
    column.base = base(class);
    column.factors[class] = 1.0;
    match transform {
        "" | "NONE" | "LOGISTIC" => {}
        // Of two classes it is the logistic function of their difference.
        "SOFTMAX" if labels == 2 => {
            column.is_logistic = true;
            column.base -= base(1 - class);
            column.factors[1 - class] = -1.0;
        }
        other => return Err(unknown_transform(attributes, other, &format!("{labels} classes"))),
    }
    Ok(column)
}

/// One column for two classes: the sum is the second's.
fn one_column(
    attributes: Attributes<'_>,
    class: usize,
    base: &[f64],
    is_negative: bool,
    mut column: Column,
) -> Result<Column, Error> {
    column.base = match base {
        [] => 0.0,
        [one] => *one,
        // onnxruntime adds the second, tract the first, and only one of them makes a probability of it.
        _ => return Err(attributes.refuse("two base_values for one column of two classes are ambiguous")),
    };
    match attributes.word("post_transform") {
        // The first class is 1 − sum to tract and −sum to onnxruntime.
        "" | "NONE" if class == 0 && is_negative => {
            return Err(attributes.refuse("the first class of one column with negative weights is ambiguous"));
        }
        "" | "NONE" | "LOGISTIC" => {}
        other => return Err(unknown_transform(attributes, other, "one column of two classes")),
    }
    if class == 0 {
        column.factors.fill(-1.0);
        column.is_complement = !column.is_logistic;
        // The logistic function of the negative sum.
        column.base *= if column.is_logistic { -1.0 } else { 1.0 };
    } else {
        column.factors.fill(1.0);
    }
    Ok(column)
}

/// What a regressor's score is the sum of; `is_sigmoid`: a Sigmoid follows.
pub(super) fn regressor(
    attributes: Attributes<'_>,
    class: Option<u16>,
    is_sigmoid: bool,
) -> Result<Column, Error> {
    let targets = attributes.int("n_targets").unwrap_or(1);
    let targets = usize::try_from(targets).ok().filter(|n| (1..=1024).contains(n));
    let targets = targets.ok_or_else(|| attributes.refuse("n_targets must be 1 to 1024"))?;
    let class = one_of(attributes, class, targets, "targets")?;
    let base = attributes.numbers("base_values")?;
    if !(base.is_empty() || base.len() == targets) {
        return Err(attributes.refuse(format!("{} base_values for {targets} targets", base.len())));
    }
    let is_average = match attributes.word("aggregate_function") {
        "" | "SUM" => false,
        "AVERAGE" => true,
        other => return Err(attributes.refuse(format!("aggregate_function {other} is not supported"))),
    };
    let is_logistic = match attributes.word("post_transform") {
        "" | "NONE" => is_sigmoid,
        "LOGISTIC" if !is_sigmoid => true,
        other => return Err(unknown_transform(attributes, other, "a regressor")),
    };
    let mut factors = vec![0.0; targets];
    factors[class] = 1.0;
    let base = base.get(class).copied().unwrap_or(0.0);
    Ok(Column { prefix: "target", factors, base, is_complement: false, is_logistic, is_average })
}
