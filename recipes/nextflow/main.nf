// One process: labels, table and report of an object with its clusters.
//   include { CELLFERRY_ANNOTATE } from './cellferry/recipes/nextflow/main.nf'
//   CELLFERRY_ANNOTATE(Channel.of([[id: 'pbmc', group_key: 'leiden'], file('pbmc.h5ad')]))
// templates/annotate.sh is what runs. A test runs it by bash with these variables in its
// environment; Nextflow itself was not at hand where this was written.
process CELLFERRY_ANNOTATE {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(object)

    output:
    tuple val(meta), path("${prefix}_annotations.csv"), emit: table
    tuple val(meta), path("${prefix}.{h5ad,rds}"), emit: object
    tuple val(meta), path("${prefix}_report.html"), emit: report
    path 'versions.yml', emit: versions

    script:
    prefix = task.ext.prefix ?: "${meta.id}_labelled"
    group_key = meta.group_key ?: 'leiden'
    arguments = task.ext.args ?: ''
    process_name = task.process
    template 'annotate.sh'
}
