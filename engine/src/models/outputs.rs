//! Which leaves of an ensemble a score is the sum of, and what is made of the sum: classes and targets, bases and
//! transforms. Where the specification is silent and runtimes differ, the model is refused.

use super::Class;
use super::attributes::Attributes;
use super::onnx::Graph;
use crate::error::Error;
use crate::limits::MODEL_COMPETING_MAX;
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

/// What a classifier calls its classes.
pub(super) struct Labels {
    names: Vec<String>,
    /// Text, whose order is the alphabet's and says nothing of which class is the bad one.
    are_words: bool,
}

/// Most labels that an error repeats.
const NAMED: usize = 8;

impl Labels {
    fn of(attributes: Attributes<'_>, ints: &str, words: &str) -> Labels {
        let words: Vec<String> =
            attributes.words(words).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let are_words = !words.is_empty();
        let numbers = attributes.ints(ints).iter().map(i64::to_string);
        Labels { names: if are_words { words } else { numbers.collect() }, are_words }
    }
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
    fn told(&self) -> String {
        let more = if self.len() > NAMED { ", …" } else { "" };
        format!("{}{more}", self.names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "))
    }
    /// The class that is declared, by position. Without a declaration it is the second of two numbers.
    pub(super) fn pick(&self, attributes: Attributes<'_>, class: Option<&Class>) -> Result<usize, Error> {
        let count = self.len();
        match class {
            Some(Class::Column(class)) if usize::from(*class) < count => Ok((*class).into()),
            Some(Class::Column(class)) => {
                Err(attributes.refuse(format!("class is {class}, the model has {count} classes")))
            }
            Some(Class::Label(label)) => {
                let found = self.names.iter().position(|name| name == label);
                let unknown = || format!("class is {label:?}, the model's classes are {}", self.told());
                found.ok_or_else(|| attributes.refuse(unknown()))
            }
            None if count == 2 && !self.are_words => Ok(1),
            None => {
                Err(attributes
                    .refuse(format!("class is missing: say which of {} the score is of", self.told())))
            }
        }
    }
}

/// The linear classifier behind the output, with its labels; `None` where the output is something else's.
pub(super) fn linear(graph: &Graph) -> Option<(Attributes<'_>, Labels)> {
    let mut value = graph.output.as_str();
    // Nodes come after what they read, so this ends.
    loop {
        let (node, at) = graph.producer(value)?;
        match node.op_type.as_str() {
            "LinearClassifier" if at == 1 => {
                let attributes = Attributes(node);
                return Some((attributes, Labels::of(attributes, "classlabels_ints", "classlabels_strings")));
            }
            "Identity" | "Normalizer" | "Cast" => value = node.input.first()?,
            _ => return None,
        }
    }
}

fn target(attributes: Attributes<'_>, class: Option<&Class>, count: usize) -> Result<usize, Error> {
    match class {
        Some(Class::Column(class)) if usize::from(*class) < count => Ok((*class).into()),
        Some(Class::Column(class)) => {
            Err(attributes.refuse(format!("class is {class}, the model has {count} targets")))
        }
        Some(Class::Label(label)) => {
            Err(attributes.refuse(format!("class is {label:?}, but targets have no names; give the column")))
        }
        None if count <= 2 => Ok(count - 1),
        None => Err(attributes.refuse(format!("class is missing: the model has {count} targets"))),
    }
}

fn unknown_transform(attributes: Attributes<'_>, transform: &str, of: &str) -> Error {
    attributes.refuse(format!("post_transform {transform} over {of} is not supported"))
}

/// The sums that a score is made of.
pub(super) struct Sums {
    /// One, or with a softmax one for each class.
    pub columns: Vec<Column>,
    /// Which of them the score is of.
    pub class: usize,
}

impl From<Column> for Sums {
    fn from(column: Column) -> Sums {
        Sums { columns: vec![column], class: 0 }
    }
}

/// What a classifier's score is the sum of.
pub(super) fn classifier(attributes: Attributes<'_>, class: Option<&Class>) -> Result<Sums, Error> {
    let named = Labels::of(attributes, "classlabels_int64s", "classlabels_strings");
    let labels = named.len();
    if !(2..=1024).contains(&labels) {
        return Err(attributes.refuse(format!("{labels} classes, limit 2 to 1024")));
    }
    let class = named.pick(attributes, class)?;
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
        return one_column(attributes, class, &base, is_negative, column).map(Sums::from);
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
        "SOFTMAX" if labels <= MODEL_COMPETING_MAX => {
            let alone = |class: usize| {
                let mut factors = vec![0.0; labels];
                factors[class] = 1.0;
                Column { factors, base: base(class), ..column }
            };
            return Ok(Sums { columns: (0..labels).map(alone).collect(), class });
        }
        "SOFTMAX" => {
            let message = format!("softmax over {labels} classes, limit {MODEL_COMPETING_MAX}");
            return Err(attributes.refuse(message));
        }
        other => return Err(unknown_transform(attributes, other, &format!("{labels} classes"))),
    }
    Ok(column.into())
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
    class: Option<&Class>,
    is_sigmoid: bool,
) -> Result<Column, Error> {
    let targets = attributes.int("n_targets").unwrap_or(1);
    let targets = usize::try_from(targets).ok().filter(|n| (1..=1024).contains(n));
    let targets = targets.ok_or_else(|| attributes.refuse("n_targets must be 1 to 1024"))?;
    let class = target(attributes, class, targets)?;
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
