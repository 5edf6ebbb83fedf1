//! Suggestions for misspelt names, by edit distance.

/// The number of letters to insert, remove, replace or swap with their neighbour to turn one word into
/// the other, ignoring case (the "optimal string alignment" distance).
pub fn distance(left: &str, right: &str) -> usize {
    let [left, right] = [left, right].map(|word| word.to_lowercase().chars().collect::<Vec<_>>());
    let mut earlier = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, letter) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(letter != other);
            let mut least = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            let swapped =
                row > 0 && column > 0 && left[row - 1] == *other && right[column - 1] == *letter;
            if swapped {
                least = least.min(earlier[column - 1] + 1);
            }
            current.push(least);
        }
        earlier = std::mem::replace(&mut above, current);
    }
    above.pop().unwrap_or_default()
}

/// The nearest of `names`, if it is near enough to be a probable intention: within two letters, or a
/// third of the name.
#[must_use]
pub fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Longer names are hardly misspellings, and a comparison takes the product of the lengths.
    const LETTERS_MAX: usize = 200;
    if word.len() > LETTERS_MAX {
        return None;
    }
    names
        .into_iter()
        .filter(|name| name.len() <= LETTERS_MAX)
        .map(|name| (distance(word, name), name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted_in_letters() {
        for (left, right, expected) in [
            ("approve", "approve", 0),
            ("Approve", "approve", 0),
            ("aprove", "approve", 1),
            ("appvore", "approve", 2),
            ("approval", "approve", 2),
            ("di", "id", 1),
            ("env", "id", 3),
            ("", "id", 2),
            ("id", "", 2),
            ("", "", 0),
            ("größe", "grösse", 2),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn only_a_near_name_is_proposed() {
        let names = ["destructive", "read-only", "ops"];
        assert_eq!(nearest("destructve", names), Some("destructive"));
        assert_eq!(nearest("readonly", names), Some("read-only"));
        assert_eq!(nearest("finance", names), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), names), None);
    }
}
