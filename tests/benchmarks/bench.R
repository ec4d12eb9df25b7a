# Called by bench.py: file of doubles by column, rows, repetitions. Prints one JSON line a task.
if (!suppressMessages(require(survival, quietly = TRUE))) quit(status = 3)
arguments <- commandArgs(TRUE)
n <- as.integer(arguments[2])
repetitions <- as.integer(arguments[3])
values <- matrix(readBin(arguments[1], "double", n * 7), n)
colnames(values) <- c("days", "died", "treated", "male", "age", "biomarker", "noise")
d <- as.data.frame(values)

measure <- function(task) {
  seconds <- matrix(0, repetitions, 2)
  for (i in seq_len(repetitions)) {
    used <- system.time(estimates <- task())
    seconds[i, ] <- c(used[["user.self"]] + used[["sys.self"]], used[["elapsed"]])
  }
  middle <- apply(seconds, 2, median)
  cat(sprintf('{"cpu": %.4f, "wall": %.4f, "estimates": [%s]}\n', middle[1], middle[2],
              paste(sprintf("%.15g", estimates), collapse = ", ")))
}

measure(function() {
  fit <- survfit(Surv(days, died) ~ 1, d)
  at <- summary(fit, times = c(365, 730, 1095))
  c(at$surv, at$std.err, quantile(fit, 0.5, conf.int = FALSE))
})
measure(function() survdiff(Surv(days, died) ~ treated, d)$chisq)
measure(function() {
  fit <- coxph(Surv(days, died) ~ treated + male + age + biomarker + noise, d)
  c(coef(fit), sqrt(diag(vcov(fit))))
})
