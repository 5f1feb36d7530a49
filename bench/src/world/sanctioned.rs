//! The sanctioned parties of this world, all invented, and the slips people make in writing a name.

use super::dice::Dice;
use serde_json::{Value, json};

/// The list's own spelling; `deploy/lists/house.csv` has the same.
pub(crate) const NAMES: [&str; 8] = [
    "Viktor Dragunovic",
    "Orlan Petrashkov",
    "Samira Al-Hadidinoor",
    "Zarek Volkonskaya",
    "Nadir Qasemirad",
    "Ilyana Marchenkova",
    "Blackfjord Maritime Trading",
    "Kestrel Meridian Holdings",
];

/// Names near to a listed one that belong to somebody else: what a similarity stage must not stop.
pub(crate) const INNOCENT: [&str; 2] = ["Viktoria Dragun", "Nadia Qasemi"];

/// The list's entries, as `PUT /v1/lists/sanctions/entries` takes them.
pub(crate) fn entries() -> Vec<Value> {
    let entry = |name: &&str| json!({"name": name, "effect": "block", "overridable": false, "reason": "SANCTIONS", "severity": 100});
    NAMES.iter().map(entry).collect()
}

/// A listed name in another case.
pub(crate) fn exact(dice: &mut Dice) -> String {
    let name = *dice.pick(&NAMES);
    match dice.below(3) {
        0 => name.to_uppercase(),
        1 => name.to_lowercase(),
        _ => name.to_owned(),
    }
}

/// A listed name with one slip: a letter dropped, doubled, changed or swapped with its neighbour, a hyphen for a
/// space, or the words in another order.
pub(crate) fn misspelt(dice: &mut Dice) -> String {
    let name = *dice.pick(&NAMES);
    let mut letters: Vec<char> = name.chars().collect();
    // Inside a word, past its first letter: slips at the start of a word are rare.
    let inner = |letters: &[char], at: usize| letters[at - 1..=at + 1].iter().all(|c| c.is_ascii_lowercase());
    let places: Vec<usize> = (1..letters.len() - 1).filter(|&at| inner(&letters, at)).collect();
    let at = *dice.pick(&places);
    match dice.below(6) {
        0 => drop(letters.remove(at)),
        1 => letters.insert(at, letters[at]),
        2 => letters[at] = if letters[at] == 'e' { 'a' } else { 'e' },
        3 if letters[at] != letters[at + 1] => letters.swap(at, at + 1),
        4 => {
            let mut words: Vec<&str> = name.split(' ').collect();
            words.rotate_left(1);
            return words.join(" ");
        }
        _ => letters.insert(at, 'h'),
    }
    letters.into_iter().collect()
}
