use super::*;

/// Returns a number from −1 to 1 that looks random.
fn noise(i: u32) -> f64 {
    let mixed = i.wrapping_mul(2_654_435_761) ^ (i.wrapping_mul(0x9E37_79B9) >> 13);
    f64::from(mixed.wrapping_mul(0x85EB_CA6B) >> 8) / f64::from(1_u32 << 23) - 1.0
}

/// A wave of 100 readings with some noise.
fn wave(i: u32) -> f64 {
    10.0 * libm::sin(f64::from(i % 100) * core::f64::consts::TAU / 100.0) + noise(i)
}

/// A pulse of three readings in every 50.
fn pulses(i: u32) -> f64 {
    if i % 50 < 3 { 10.0 } else { 0.1 * noise(i) }
}

/// Observes and learns the readings `from..to` of a series. Returns the greatest of each measure.
fn run(
    course: &mut Course,
    series: impl Fn(u32) -> f64,
    from: u32,
    to: u32,
    spread: f64,
) -> [f64; COURSE_MEASURES] {
    let mut greatest = [0.0_f64; COURSE_MEASURES];
    for i in from..to {
        let measures = course.observe(series(i), spread);
        course.learn(1.0 / f64::from(i + 1).clamp(16.0, 10_000.0));
        for (greatest, measure) in greatest.iter_mut().zip(measures) {
            *greatest = greatest.max(measure);
        }
    }
    greatest
}

#[test]
fn a_wave_that_stops_shows_from_block_to_block() {
    let mut course = Course::new(wave(0));
    run(&mut course, wave, 0, 3_000, 7.0);
    let usual = run(&mut course, wave, 3_000, 4_000, 7.0);
    // All values lie within the wave's range, and no step is greater than the noise.
    let stopped = run(&mut course, |i| wave(4_010) + noise(i), 4_011, 4_060, 7.0);
    assert!(stopped[0] > usual[0] + 0.5, "{stopped:?} {usual:?}");
    assert!(stopped[1] > usual[1] + 0.5, "{stopped:?} {usual:?}");
}

#[test]
fn usual_values_in_an_unusual_order_are_far_from_all_leaders() {
    let mut course = Course::new(pulses(0));
    run(&mut course, pulses, 0, 3_000, 2.4);
    let usual = run(&mut course, pulses, 3_000, 4_000, 2.4);
    let dense = run(&mut course, |i| if i % 6 < 3 { 10.0 } else { 0.1 * noise(i) }, 4_000, 4_020, 2.4);
    assert!(dense[3] > usual[3] + 1.5, "{dense:?} {usual:?}");
}

#[test]
fn a_new_shape_is_learnt_and_an_old_one_stays_known() {
    let mut course = Course::new(pulses(0));
    run(&mut course, pulses, 0, 3_000, 2.4);
    let square = |i: u32| if i % 6 < 3 { 10.0 } else { 0.0 };
    let first = run(&mut course, square, 3_000, 3_020, 2.4)[3];
    run(&mut course, square, 3_020, 3_500, 2.4);
    let learnt = run(&mut course, square, 3_500, 3_600, 2.4)[3];
    assert!(learnt < 0.5 * first, "{first} became {learnt}");
    run(&mut course, pulses, 3_600, 3_650, 2.4);
    let old = run(&mut course, pulses, 3_650, 3_750, 2.4)[3];
    assert!(old < 0.5 * first, "{old} beside {first}");
}

#[test]
fn what_is_not_learnt_does_not_change_the_past() {
    let mut course = Course::new(wave(0));
    run(&mut course, wave, 0, 2_000, 7.0);
    let before = course.clone();
    for i in 0..200 {
        course.observe(50.0 * noise(i), 7.0);
    }
    assert_eq!(course.discord.leaders, before.discord.leaders);
    assert_eq!(course.coarse.covariances, before.coarse.covariances);
    assert_eq!(course.coarse.power, before.coarse.power);
}

#[test]
fn the_measures_depend_on_neither_offset_nor_unit() {
    let measure = |offset: f64, unit: f64| {
        let mut course = Course::new(offset + unit * wave(0));
        run(&mut course, |i| offset + unit * wave(i), 0, 2_000, 7.0 * unit);
        run(&mut course, |i| offset + unit * wave(3 * i), 2_000, 2_100, 7.0 * unit)
    };
    let (plain, moved) = (measure(0.0, 1.0), measure(1e6, 1_024.0));
    for (a, b) in plain.iter().zip(moved) {
        assert!((a - b).abs() < 1e-3, "{plain:?} {moved:?}");
    }
}

#[test]
fn a_constant_field_has_no_measures_and_a_first_change_is_finite() {
    let mut course = Course::new(5.0);
    assert_eq!(run(&mut course, |_| 5.0, 0, 1_000, 0.0), [0.0; COURSE_MEASURES]);
    let changed = run(&mut course, |_| 6.0, 1_000, 1_100, 1e-3);
    assert!(changed.iter().all(|measure| measure.is_finite() && *measure <= 32.0), "{changed:?}");
}

#[test]
fn a_silence_separates_the_readings_before_and_after_it() {
    let mut course = Course::new(wave(0));
    run(&mut course, wave, 0, 2_000, 7.0);
    course.restart();
    // The wave goes on at another phase. A window across the silence would be a new shape.
    let after = run(&mut course, |i| wave(i + 50), 2_000, 2_100, 7.0);
    let mut same = Course::new(wave(0));
    run(&mut same, wave, 0, 2_000, 7.0);
    let across = run(&mut same, |i| wave(i + 50), 2_000, 2_100, 7.0);
    assert!(after[0] < across[0] && after[3] < across[3], "{after:?} {across:?}");
}

#[test]
fn a_restored_course_continues_bit_for_bit_and_stays_small() {
    let mut course = Course::new(wave(0));
    for i in 0..5_000_u32 {
        if i % 997 == 0 {
            let bytes = postcard::to_allocvec(&course).expect("a course can be serialised");
            let restored: Course = postcard::from_bytes(&bytes).expect("its bytes can be read");
            assert!(restored.is_sound() && bytes.len() < 4_096, "{} bytes", bytes.len());
            let mut continued = restored;
            let mut original = course.clone();
            for j in i..i + 100 {
                assert_eq!(continued.observe(wave(j), 7.0), original.observe(wave(j), 7.0));
                continued.learn(0.001);
                original.learn(0.001);
            }
        }
        course.observe(wave(i), 7.0);
        course.learn(1.0 / f64::from(i + 1).clamp(16.0, 10_000.0));
    }
    let memory = size_of::<Course>() + course.memory_usage();
    assert!(memory <= 3_000, "{memory} bytes");
}

#[test]
fn extreme_coordinates_give_finite_measures() {
    let mut course = Course::new(0.0);
    for i in 0..2_000_u32 {
        let coordinate = [0.0, 1e300, -1e300, 1e-300, 1e12][i as usize % 5] * noise(i);
        let measures = course.observe(coordinate, 1.0);
        course.learn(0.01);
        assert!(measures.iter().all(|measure| measure.abs() <= 32.0), "{i}: {measures:?}");
    }
}
