# Makes load.csv: awk -f load.awk > load.csv
#
# Four weeks of hours: a daily wave, a higher load on working days from 7 to 18 o'clock, and some noise.
# Anomalies: a working day that looks like a Sunday (the 17th), a spike (the 21st) and half a day with
# one value (the 24th). Two values are missing (the 10th).
BEGIN {
  print "time,load"
  for (n = 0; n < 672; n++) {
    day = int(n / 24); hour = n % 24; working = day % 7 < 5 && hour >= 7 && hour < 18
    load = 30 - 10 * cos(6.2831853 * hour / 24) + (n * n * 7919 + n * 104729) % 1009 / 250
    if (working && day != 15) load += 15
    if (n == 470) load += 30
    if (n >= 540 && n < 552) load = 38
    printf "2026-03-%02dT%02d:00,", day + 2, hour
    if (n == 200 || n == 201) print ""; else printf "%.1f\n", load
  }
}
