# One measurement in a process of its own: Rscript measure.R METHOD MILLIONS_OF_VALUES
# Prints JSON: seconds, extra peak memory in bytes, bytes of the matrix, or an error.
arguments <- commandArgs(TRUE)
method <- arguments[[1]]
millions <- as.numeric(arguments[[2]])
file <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
source(file.path(dirname(file), "objects.R"))

memory <- function(field) {
  line <- grep(paste0("^", field, ":"), readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) * 1024
}

# In a virtual machine with free page reporting (this project's has it) the first touch of a page
# that the host took back costs six times as much as any later one. So what will be needed is
# touched first, given back, and used right after; see benchmarks/artifacts/measure.py.
warm <- function(bytes) {
  touched <- raw(bytes)
  rm(touched)
  invisible(gc())
}

# The bytes of the matrix as arrays of numpy, to be copied by a Python expression.
keep_in_python <- function(expression) {
  reticulate::py_run_string(sprintf(paste(
    "import numpy as np",
    "kept = (np.ones(%d, 'f8'), np.ones(%d, 'i4'), np.ones(%d, 'i4'))",
    "def copy():",
    "    global copied",
    "    copied = [%s for values in kept]",
    sep = "\n"
  ), length(mat@x), length(mat@x), length(mat@p), expression))
  rm(mat, envir = globalenv())
}

mat <- make_matrix(millions * 1e6)
bytes <- 12 * length(mat@x) + 4 * length(mat@p)
prepare <- list(
  copy = function() keep_in_python("bytearray(values.data)"),
  copy_huge = function() keep_in_python("values.copy()"),
  cellferry = function() make_object(mat),
  cellferry_split = function() make_object(mat, 4L),
  reticulate = function() {
    reticulate::import("scipy.sparse", convert = FALSE)
    mat
  }
)
run <- list(
  copy = function(x) reticulate::py_run_string("copy()"),
  cellferry = function(x) cellferry:::open_study(x, "group", parts = "normalized", verbose = FALSE),
  reticulate = function(x) reticulate::r_to_py(x)
)
run$copy_huge <- run$copy
run$cellferry_split <- run$cellferry

answer <- tryCatch(
  {
    input <- prepare[[method]]()
    rm(list = intersect("mat", ls()))
    # Imports and compiling are not part of a transfer; R compiles what was called twice.
    if (startsWith(method, "cellferry")) {
      for (i in 1:3) run[[method]](make_object(make_matrix(1e6)))
    }
    warm(4 * bytes)
    before <- memory("VmRSS")
    # Sets the peak back to what is used now.
    cat("5", file = "/proc/self/clear_refs")
    time <- system.time(kept <- run[[method]](input), gcFirst = FALSE)
    cpu <- time[["user.self"]] + time[["sys.self"]]
    list(seconds = time[["elapsed"]], cpu = cpu, extra = memory("VmHWM") - before, bytes = bytes)
  },
  error = function(cnd) list(error = strsplit(conditionMessage(cnd), "\n")[[1]][1], bytes = bytes)
)
cat(jsonlite::toJSON(answer, auto_unbox = TRUE, digits = 6), "\n")
