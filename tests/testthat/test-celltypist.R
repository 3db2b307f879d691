# A model as CellTypist writes it, of the genes of an object and of two kinds of cells.
celltypist_model <- function(genes, frame = parent.frame()) {
  file <- withr::local_tempfile(fileext = ".pkl", .local_envir = frame)
  script <- withr::local_tempfile(fileext = ".py")
  writeLines(c(
    "import json, pickle, sys",
    "import numpy as np",
    "from sklearn.linear_model import LogisticRegression",
    "from sklearn.preprocessing import StandardScaler",
    "genes = json.loads(sys.argv[2])",
    "random = np.random.default_rng(0)",
    "x = random.random((60, len(genes)))",
    "y = np.array(['B cell', 'Monocyte', 'T cell'] * 20)",
    "for name, own in {'B cell': ['CD79A', 'MS4A1'], 'Monocyte': ['LYZ', 'CST3', 'S100A8'],",
    "                  'T cell': ['CD3D', 'CD3E', 'IL32']}.items():",
    "    for gene in own:",
    "        if gene in genes:",
    "            x[y == name, genes.index(gene)] += 4",
    "scaler = StandardScaler().fit(x)",
    "model = LogisticRegression(max_iter=500).fit(scaler.transform(x), y)",
    "model.features = np.array(genes)",
    "with open(sys.argv[1], 'wb') as out:",
    "    pickle.dump({'Model': model, 'Scaler_': scaler, 'description': {'version': 'v1'}}, out)"
  ), script)
  said <- with_clean_library_path(suppressWarnings(system2(
    python_path(), c(shQuote(script), shQuote(file), shQuote(jsonlite::toJSON(genes))),
    stdout = TRUE, stderr = TRUE
  )))
  if (any(grepl("No module named 'sklearn'", said, fixed = TRUE))) {
    skip("scikit-learn is not installed")
  }
  file
}

test_that("cells and clusters are labelled by a model of CellTypist", {
  skip_without_backend()
  local_home()
  x <- small_object()
  file <- celltypist_model(rownames(x))
  y <- suppressWarnings(AnnotateCells(x, engine = CellTypistEngine(file), verbose = FALSE))
  expect_setequal(levels(y$cell_type_cell), c("B cell", "Monocyte", "T cell"))
  expect_gt(mean(y$cell_type_cell[x$RNA_snn_res.1 == "1"] == "Monocyte"), 0.7)
  z <- suppressWarnings(AnnotateClusters(
    x,
    engine = "celltypist", model = file, group.by = "RNA_snn_res.1", verbose = FALSE
  ))
  table <- Annotations(z)
  expect_identical(table$label[[2]], "Monocyte")
  expect_identical(table$ontology_id[[2]], "CL:0000576")
  expect_identical(unique(table$confidence_kind), "stated")
  v <- suppressWarnings(AnnotateCells(
    x,
    engine = CellTypistEngine(file, majority_voting = TRUE, over_clustering = "RNA_snn_res.1"),
    verbose = FALSE
  ))
  voted <- tapply(as.character(v$cell_type_cell), x$RNA_snn_res.1, function(l) length(unique(l)))
  expect_true(all(voted == 1))
})

test_that("what is no model, and a model of other genes, are refused", {
  skip_without_backend()
  x <- small_object()
  expect_error(
    AnnotateCells(x, engine = CellTypistEngine("Immune_All_Low.pkl")),
    "There is no model \"Immune_All_Low.pkl\"",
    class = "cellferry_model_error"
  )
  file <- withr::local_tempfile(fileext = ".pkl", lines = "no model")
  expect_error(AnnotateCells(x, engine = CellTypistEngine(file)), class = "cellferry_model_error")
  other <- celltypist_model(paste0("GENE", 1:300))
  expect_error(
    AnnotateCells(x, engine = CellTypistEngine(other)), "0 of the 300 genes of the model",
    class = "cellferry_model_error"
  )
})
