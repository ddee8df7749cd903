use super::*;

#[test]
fn fields_are_sorted_and_octaves_match_their_names() {
    assert!(FIELDS.windows(2).all(|pair| pair[0] < pair[1]));
    for (field, octave) in FIELDS.iter().zip(OCTAVE_OF_FIELD) {
        assert_eq!(*field, format!("band_{}_db", bands::OCTAVE_CENTRES[octave]));
    }
}

#[test]
fn a_spectrum_of_equal_density_has_flatness_one() {
    let mut frame = SpectralFrame::SILENT;
    for band in 1..BANDS - 1 {
        frame.power[band] = WIDTHS[band] * 1e-6;
    }
    assert_eq!(features(&frame, 0.0)[9], 1.0);
    frame.power[10] *= 1e6;
    assert!(features(&frame, 0.0)[9] < 0.01);
}

#[test]
fn silence_has_finite_features() {
    let values = features(&SpectralFrame::SILENT, 94.0);
    assert!(values.iter().all(|value| value.is_finite()));
    assert_eq!(values[10], FLOOR_DB);
    assert_eq!(values[12], 0.0);
}

#[test]
fn calibration_moves_levels_alone() {
    let mut frame = SpectralFrame::SILENT;
    for band in 0..BANDS {
        (frame.power[band], frame.weighted[band], frame.moment[band]) = (1.0, 0.5, 900.0);
    }
    (frame.peak, frame.crossings) = (30.0, 26.0 * 1e6);
    let (plain, raised) = (features(&frame, 0.0), features(&frame, 3.5));
    for (field, (before, after)) in FIELDS.iter().zip(plain.iter().zip(raised)) {
        let expected = if field.ends_with("_db") { before + 3.5 } else { *before };
        assert!((after - expected).abs() < 1e-9, "{field}");
    }
    assert!((plain[12] - 1_000.0 / SENSOR_RATE_HZ).abs() < 5e-5);
}

#[test]
fn values_are_rounded_to_short_texts() {
    assert_eq!(round(52.314_999, 100.0).to_string(), "52.31");
    assert_eq!(round(-0.001, 100.0).to_string(), "0");
}
