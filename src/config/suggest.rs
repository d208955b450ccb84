//! "Did you mean": the known word that is nearest to a misspelt one.

/// The nearest word, if it is near enough to be meant: one slip for three letters, at most three.
pub(crate) fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    let limit = (word.len() / 3).clamp(1, 3);
    let mut letters = Vec::new();
    known
        // Known words are ASCII: as many letters as bytes.
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= limit)
        .filter_map(|candidate| {
            letters.clear();
            letters.extend(candidate.chars().flat_map(char::to_lowercase));
            distance(&word, &letters, limit).map(|slips| (slips, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits from one word to the other (insert, delete, replace, swap neighbours) if there are at most `limit`. It gives
/// up early: a file may have a hundred thousand words that nobody knows, and each is held against a hundred others.
fn distance(a: &[char], b: &[char], limit: usize) -> Option<usize> {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut row: Vec<usize> = Vec::new();
    for i in 1..=a.len() {
        row.clear();
        row.resize(b.len() + 1, i);
        let mut least = i;
        // Further from the diagonal there are more slips than the limit.
        for j in 1..=b.len() {
            if j + limit < i || j > i + limit {
                row[j] = limit + 1;
                continue;
            }
            let replace = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
            least = least.min(row[j]);
        }
        if least > limit {
            return None;
        }
        std::mem::swap(&mut before, &mut above);
        std::mem::swap(&mut above, &mut row);
    }
    above.last().copied().filter(|slips| *slips <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let known = ["virtual_router_id", "priority", "state", "interface"];
        assert_eq!(closest("priorty", known.into_iter()), Some("priority"));
        assert_eq!(closest("virtual_roter_id", known.into_iter()), Some("virtual_router_id"));
        assert_eq!(closest("State", known.into_iter()), Some("state"));
        assert_eq!(closest("banana", known.into_iter()), None);
        assert_eq!(closest("vitrual_router_id", known.into_iter()), Some("virtual_router_id"));
        assert_eq!(closest("virtualrouterid", known.into_iter()), Some("virtual_router_id"));
        assert_eq!(closest("vrtualruterd", known.into_iter()), None);
        assert_eq!(closest("", known.into_iter()), None);
        assert_eq!(closest(&"x".repeat(100_000), known.into_iter()), None);
    }
}
