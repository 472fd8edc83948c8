# Tab completion of inv for fish: ./inv --print-completion-script fish | source

function __inv_complete
    set -l line (commandline --current-process --cut-at-cursor | string collect)
    set -l typed (commandline --current-process --tokenize)[1]
    set -l program (command --search -- (string replace --regex '^~/' $HOME/ -- $typed); or echo @INV@)
    set -l found ($program --complete -- $line 2>/dev/null </dev/null)
    set -l failed $status
    if set -q found[1]
        printf '%s\n' $found
    else if test $failed -eq 0
        __fish_complete_path (commandline --current-token)
    end
end

complete --command inv --no-files --arguments '(__inv_complete)'
complete --command invoke --no-files --arguments '(__inv_complete)'
