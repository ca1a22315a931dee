//! What is wrong with a file: all of it at once, up to a bound.

/// The most errors that are told. The others are counted.
const TOLD_MAX: usize = 50;

/// The errors of a file, each with its place.
#[derive(Debug)]
pub(super) struct Wrong<P> {
    told: Vec<(P, String)>,
    count: usize,
}

impl<P> Default for Wrong<P> {
    fn default() -> Self {
        Self { told: Vec::new(), count: 0 }
    }
}

impl<P> Wrong<P> {
    /// Notes an error.
    pub(super) fn note(&mut self, place: P, detail: impl Into<String>) {
        self.count += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push((place, detail.into()));
        }
    }

    /// Tells whether nothing is wrong.
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Writes the errors, a line for each, in the order in which they were found.
    pub(super) fn tell(&self, place: impl Fn(&P) -> String) -> String {
        let line = |(at, detail): &(P, String)| format!("{}: {detail}", place(at));
        let mut lines: Vec<String> = self.told.iter().map(line).collect();
        if self.count > self.told.len() {
            lines.push(format!("and {} more", self.count - self.told.len()));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_told_up_to_the_bound_and_the_others_are_counted() {
        let mut wrong = Wrong::default();
        assert!(wrong.is_empty());
        for line in 0..TOLD_MAX + 3 {
            wrong.note(line, "is odd");
        }
        let told = wrong.tell(|line| format!("x:{line}"));
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!((lines.len(), lines[1]), (TOLD_MAX + 1, "x:1: is odd"));
        assert_eq!(lines.last(), Some(&"and 3 more"));
    }
}
