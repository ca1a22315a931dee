//! Codes' texts, and their counts against a model: a list of texts that is scanned.

use proptest::prelude::*;

use super::*;

fn code(text: &str) -> AccessCode {
    AccessCode::parse(text).unwrap()
}

fn terms(max_uses: u32) -> Arc<CodeTerms> {
    Arc::new(CodeTerms { max_uses: Some(max_uses), ..CodeTerms::default() })
}

#[test]
fn a_code_is_4_to_64_letters_digits_and_dashes_and_case_does_not_count() {
    assert_eq!(code("fan-2026"), code("FAN-2026"));
    assert_eq!(code("팬클럽-7").as_str(), "팬클럽-7");
    assert_eq!(code(&"x".repeat(64)).as_str(), "X".repeat(64));
    let long = "x".repeat(65);
    // Two capital letters each: more than there may be.
    let growing = "ß".repeat(40);
    for wrong in ["", "abc", "a b c d", "abcd!", "abcd\n", "abc_d", "ab.cd", &long, &growing] {
        assert_eq!(AccessCode::parse(wrong), Err(InvalidCode), "{wrong:?}");
    }
}

#[test]
fn a_code_of_any_letters_is_read_again_as_it_was_kept() {
    let mut letters = 0;
    for letter in '\0'..=char::MAX {
        let Ok(code) = AccessCode::parse(&format!("a-{letter}-1")) else { continue };
        letters += 1;
        assert_eq!(AccessCode::parse(code.as_str()), Ok(code.clone()), "{letter:?}: a journal keeps it");
        // Where a letter is made small by itself, the small one is the same code.
        let small: String = letter.to_lowercase().collect();
        let is_odd = small.to_uppercase() != letter.to_uppercase().collect::<String>();
        if let Ok(small) = AccessCode::parse(&format!("A-{small}-1"))
            && !is_odd
        {
            assert_eq!(small, code, "{letter:?}");
        }
    }
    assert!(letters > 100_000, "{letters}");
    assert_eq!(code("straße"), code("STRASSE"));
    assert_ne!(code("straße"), code("STRAẞE"));
    assert_ne!(code("istanbul"), code("İSTANBUL"));
}

#[test]
fn a_generated_code_reads_back_to_what_was_drawn_and_to_nothing_else() {
    let prefix = CodePrefix::parse("fan").unwrap();
    let bare = CodePrefix::parse("").unwrap();
    assert_eq!(prefix.code(0).as_str(), "FAN-0000-0000-0000");
    assert_eq!(bare.code(1).as_str(), "0000-0000-0001");
    assert_eq!(CodePrefix::parse("fan-").unwrap(), prefix);
    for number in [0, 1, 31, 32, 0x0fff_ffff_ffff_ffff, 0x0123_4567_89ab_cdef] {
        for prefix in [&prefix, &bare] {
            let text = prefix.code(number);
            assert_eq!(AccessCode::parse(text.as_str()).as_ref(), Ok(&text), "it is a code");
            assert_eq!(prefix.drawn(text.as_str()), Some(number));
        }
    }
    for other in [
        "FAN-0000-0000-000",
        "FAN-0000-0000-00000",
        "FAN-0000-0000+0000",
        "FAN-0000-0000-000I",
        "FAM-0000-0000-0000",
    ] {
        assert_eq!(prefix.drawn(other), None, "{other}");
    }
    assert!(CodePrefix::parse(&"x".repeat(40)).is_ok());
    for wrong in ["a b", "a!", &"x".repeat(41)] {
        assert_eq!(CodePrefix::parse(wrong), Err(InvalidCode));
    }
}

#[test]
fn numbers_that_were_drawn_twice_still_make_as_many_codes() {
    let mut codes = Codes::default();
    let prefix = CodePrefix::default();
    codes.put(&prefix.code(8), &terms(1));
    let first = codes.fresh(&prefix, &[7, 7, 5]);
    // 8 is a code already.
    assert_eq!(*first, [5, 7, 9]);
    codes.add(&prefix, &terms(1), &first);
    assert_eq!(*codes.fresh(&prefix, &[5, u64::MAX, (1 << 60) - 1]), [0, 6, (1 << 60) - 1]);
    codes.check_invariants();
}

#[test]
fn ten_thousand_generated_codes_take_less_than_a_megabyte() {
    let mut codes = Codes::default();
    let prefix = CodePrefix::parse("FAN").unwrap();
    let drawn: Vec<u64> = (0..10_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    codes.add(&prefix, &terms(1), &codes.fresh(&prefix, &drawn));
    assert_eq!(codes.generated(), 10_000);
    let all = codes.batch(0).unwrap();
    for code in &all {
        codes.use_once(code.as_str(), 4);
    }
    assert!(codes.heap_bytes() < 200_000, "{} bytes", codes.heap_bytes());
    codes.check_invariants();
}

#[test]
fn a_code_is_for_the_phases_that_it_names_or_for_the_general_sale() {
    let (fans, card) = (PhaseId::parse("fans").unwrap(), PhaseId::parse("card").unwrap());
    let at = Timestamp::from_millis;
    let general = CodeTerms { valid_from: Some(at(10)), valid_until: Some(at(20)), ..CodeTerms::default() };
    let of_fans = CodeTerms { phases: [fans.clone()].into(), ..general.clone() };
    let times = [9, 10, 19, 20].map(at);
    assert_eq!(times.map(|at| general.is_for(None, at)), [false, true, true, false]);
    assert_eq!(times.map(|at| of_fans.is_for(Some(&fans), at)), [false, true, true, false]);
    for at in times {
        assert!(!general.is_for(Some(&fans), at), "a code of no phase opens none");
        assert!(!of_fans.is_for(None, at), "a code of a phase is for no general sale");
        assert!(!of_fans.is_for(Some(&card), at));
    }
}

/// What the model knows of a code.
#[derive(Debug, Clone)]
struct Kept {
    text: String,
    max: u32,
    used: u32,
    seats: u32,
    over: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Put { which: usize, max: u32 },
    Make { prefix: usize, count: usize, max: u32 },
    End { which: usize },
    Use { which: usize, seats: u32 },
    GiveBack { which: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..40_usize;
    prop_oneof![
        3 => (which.clone(), 1..4_u32).prop_map(|(which, max)| Step::Put { which, max }),
        1 => (0..3_usize, 1..6_usize, 1..3_u32).prop_map(|(prefix, count, max)| Step::Make { prefix, count, max }),
        2 => which.clone().prop_map(|which| Step::End { which }),
        6 => (which.clone(), 1..5_u32).prop_map(|(which, seats)| Step::Use { which, seats }),
        4 => which.prop_map(|which| Step::GiveBack { which }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn counts_are_those_of_a_list_that_is_scanned(steps in prop::collection::vec(step(), 1..60)) {
        let mut codes = Codes::default();
        let mut model: Vec<Kept> = Vec::new();
        // Who uses what, so that each use is given back once.
        let mut holds: Vec<(String, u32)> = Vec::new();
        let names = ["AAAA", "BBBB", "CCCC", "DDDD"];
        let mut drawn = 0_u64;

        for step in steps {
            // A code by its number: one of the four names, or one that there is.
            let chosen = |which: usize, model: &[Kept]| -> String {
                if which < names.len() || model.is_empty() {
                    names[which % names.len()].to_owned()
                } else {
                    model[which % model.len()].text.clone()
                }
            };
            match step {
                Step::Put { which, max } => {
                    let text = chosen(which, &model);
                    codes.put(&code(&text), &terms(max));
                    match model.iter_mut().find(|kept| kept.text == text) {
                        Some(kept) => (kept.max, kept.over) = (max, false),
                        None => model.push(Kept { text, max, used: 0, seats: 0, over: false }),
                    }
                }
                Step::Make { prefix, count, max } => {
                    let prefix = CodePrefix::parse(["", "p", "q-"][prefix]).unwrap();
                    let numbers: Vec<u64> = (0..count).map(|_| { drawn += 3; drawn }).collect();
                    let fresh = codes.fresh(&prefix, &numbers);
                    codes.add(&prefix, &terms(max), &fresh);
                    let told = codes.batch(codes.batch_count() - 1).unwrap();
                    prop_assert_eq!(told.len(), count);
                    for code in told {
                        let text = code.as_str().to_owned();
                        prop_assert!(model.iter().all(|kept| kept.text != text), "a new code");
                        model.push(Kept { text, max, used: 0, seats: 0, over: false });
                    }
                }
                Step::End { which } => {
                    let text = chosen(which, &model);
                    let Some(at) = model.iter().position(|kept| kept.text == text && !kept.over) else { continue };
                    codes.end(&code(&text));
                    model[at].over = true;
                }
                Step::Use { which, seats } => {
                    let text = chosen(which, &model);
                    let Some(kept) = model.iter_mut().find(|kept| kept.text == text && !kept.over) else { continue };
                    let standing = codes.find(&text).expect("it isn't over");
                    let room = standing.terms.has_room(standing.uses, 1, seats);
                    prop_assert_eq!(room, kept.used < kept.max);
                    if room {
                        codes.use_once(&text, seats);
                        (kept.used, kept.seats) = (kept.used + 1, kept.seats + seats);
                        holds.push((text, seats));
                    }
                }
                Step::GiveBack { which } => {
                    if holds.is_empty() { continue }
                    let (text, seats) = holds.swap_remove(which % holds.len());
                    codes.give_back(&text, seats);
                    let at = model.iter().position(|kept| kept.text == text).expect("kept as long as it is used");
                    (model[at].used, model[at].seats) = (model[at].used - 1, model[at].seats - seats);
                }
            }

            codes.check_invariants();
            let mut listed: Vec<(String, u32, u32, u32)> = codes.list(None).map(|(code, standing)| {
                let Uses { used, seats } = standing.uses;
                (code.as_str().to_owned(), standing.terms.max_uses.unwrap(), used, seats)
            }).collect();
            let pages = paged(&codes);
            prop_assert_eq!(&pages, &listed.iter().map(|(text, ..)| text.clone()).collect::<Vec<_>>());
            let mut expected: Vec<_> = model.iter().filter(|kept| !kept.over)
                .map(|kept| (kept.text.clone(), kept.max, kept.used, kept.seats)).collect();
            listed.sort();
            expected.sort();
            prop_assert_eq!(listed, expected);

            let (named, batches) = codes.image();
            let restored = Codes::restore(named, batches);
            prop_assert_eq!(restored.as_ref(), Some(&codes));
        }
    }
}

/// Lists codes one a page.
fn paged(codes: &Codes) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let behind = all.last().cloned();
        let Some((code, _)) = codes.list(behind.as_deref()).next() else { return all };
        all.push(code.as_str().to_owned());
    }
}

#[test]
fn a_generated_code_is_told_by_its_prefix_alone() {
    let mut codes = Codes::default();
    for prefix in ["", "fan", "a-b-"] {
        let prefix = CodePrefix::parse(prefix).unwrap();
        let drawn = codes.fresh(&prefix, &[0, 7 << 40, u64::MAX]);
        codes.add(&prefix, &Arc::new(CodeTerms::default()), &drawn);
        for (code, ..) in codes.all().filter(|(code, ..)| prefix.drawn(code.as_str()).is_some()) {
            let told = format!("{}****-****-****", prefix.as_str());
            assert_eq!(masked(code.as_str()), told, "{code}");
        }
    }
    // What somebody chose says nothing that can't be said, unless it looks like one.
    for chosen in
        ["FANS2027", "후원사-초대-2027", "ABCD-ABCD", "FANABCD-ABCD-ABCD", "ABCD-ABCD-ABC", "ABCD-ABCD-ABCI"]
    {
        assert_eq!(masked(chosen), chosen);
    }
    assert_eq!(masked("후원사-ABCD-ABCD-0000"), "후원사-****-****-****");
}
