# Tab completion of inv for zsh: eval "$(./inv --print-completion-script zsh)"

_inv() {
  local line program failed none=1
  local -a found
  line="${(j: :)words[1,CURRENT-1]} $IPREFIX$QIPREFIX$PREFIX"
  program=${(Q)words[1]/#\~\//$HOME/}
  program=$(whence -p -- "$program") || program=@INV@
  found=(${(f)"$("$program" --complete -- "$line" 2>/dev/null </dev/null)"})
  failed=$?
  compadd -S '' -- "${(@M)found:#*/}" && none=0
  compadd -- "${(@)found:#*/}" && none=0
  # if it fails, nothing fits there, and files do not either
  (( none && ! failed )) || return none
  compset -P '--*='
  _files
}

# at the first prompt: a compinit that comes later in the start-up file would forget it
_inv_begin() {
  precmd_functions=("${(@)precmd_functions:#_inv_begin}")
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
  compdef _inv inv invoke
}
precmd_functions+=(_inv_begin)
